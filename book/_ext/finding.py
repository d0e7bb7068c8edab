"""Search in the built book, by section, with pagefind.

Where pagefind is not to be had, Sphinx's own search stays.
"""

from __future__ import annotations

import shutil
import subprocess
from html import escape
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from sections import Section, sections
from sphinx.util import logging

LOG = logging.getLogger(__name__)
ASSETS = Path(__file__).resolve().parents[1] / "_reading"
# Pages that only list what stands elsewhere.
LISTS = ("genindex", "search", "_modules/")
# A chapter explains; the library and what follows it look up.
CHAPTERS = "[0-9][0-9]_*.html"
# Ready-made interfaces that come along, and that the book does not use.
INTERFACES = "pagefind-*ui*", "pagefind-highlight.js", "playground"


def available() -> bool:
    """Return whether pagefind's program is there."""
    try:
        import_module("pagefind_bin").get_executable()
    except (ImportError, FileNotFoundError):
        return False
    return True


def searched(folder: Path) -> list[Path]:
    """Return the pages of a built book that have something to find."""
    found = []
    for page in sorted(folder.rglob("*.html")):
        name = page.relative_to(folder).as_posix()
        if not name.startswith((*LISTS, "_")) and "/_" not in name:
            found.append(page)
    return found


def as_page(section: Section, place: str, kind: str) -> str:
    """Return a section as the page that pagefind reads."""
    told = (
        f'<p data-pagefind-ignore data-pagefind-meta="{name}">'
        f"{escape(value)}</p>"
        for name, value in (("page", section.page), ("place", place))
    )
    return (
        '<html lang="en"><meta charset="utf-8"><body>'
        f'<h1 data-pagefind-meta="title" data-pagefind-filter="kind:{kind}">'
        f"{escape(section.title)}</h1>{''.join(told)}"
        f"<p>{escape(section.text)}</p></body></html>"
    )


def index(folder: Path) -> int:
    """Write the index of a built book; return how many sections it has.

    Raises
    ------
    RuntimeError
        If pagefind fails; the message is what it said.
    """
    out = folder / "pagefind"
    shutil.rmtree(out, ignore_errors=True)
    many = 0
    with TemporaryDirectory() as made:
        for page in searched(folder):
            name = page.relative_to(folder).as_posix()
            kind = "chapter" if page.match(CHAPTERS) else "reference"
            for each in sections(page.read_text("utf-8")):
                text = as_page(each, f"{name}#{each.id}", kind)
                Path(made, f"{many}.html").write_text(text, "utf-8")
                many += 1
        program = import_module("pagefind_bin").get_executable()
        done = subprocess.run(
            [program, "--site", made, "--output-path", out],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(
            f"pagefind must index the book: {done.stdout}{done.stderr}"
        )
    for pattern in INTERFACES:
        for each in out.glob(pattern):
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    return many


def say(app, config) -> None:
    """Add the search's script and style, or say why there is none."""
    if config.has_finder:
        config.html_static_path.append(str(ASSETS))
        app.add_js_file("find.js", type="module")
        app.add_css_file("find.css")
    else:
        LOG.info("no pagefind for this machine: Sphinx's own search stays")


def tell(app, pagename, templatename, context, doctree) -> None:
    """Let the page's template know which search there is."""
    context["has_finder"] = app.config.has_finder


def write(app, error) -> None:
    """Index the pages, now that they are written."""
    if error or app.builder.name != "html" or not app.config.has_finder:
        return
    many = index(Path(app.outdir))
    LOG.info("search knows %d sections", many)


def setup(app):
    """Connect the extension."""
    app.add_config_value("has_finder", available(), "html", (bool,))
    app.connect("config-inited", say)
    app.connect("html-page-context", tell)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
