"""Search in the built book, by section, with pagefind.

Where pagefind is not to be had, Sphinx's own search stays.
"""

from __future__ import annotations

import asyncio
import shutil
from html import escape
from importlib import import_module
from pathlib import Path

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
    """Return whether this machine has pagefind and its program."""
    try:
        import_module("pagefind.index")
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


def as_page(section: Section, weight: float) -> str:
    """Return a section as the page that pagefind reads."""
    return (
        f'<html lang="en"><body data-pagefind-weight="{weight}">'
        f'<h1 data-pagefind-meta="title">{escape(section.title)}</h1>'
        f'<p data-pagefind-ignore data-pagefind-meta="page">'
        f"{escape(section.page)}</p>"
        f"<p>{escape(section.text)}</p></body></html>"
    )


async def index(folder: Path) -> int:
    """Write the index of a built book; return how many sections it has."""
    pagefind = import_module("pagefind.index")
    out = folder / "pagefind"
    shutil.rmtree(out, ignore_errors=True)
    config = pagefind.IndexConfig(
        output_path=str(out), force_language="en", keep_index_url=True
    )
    many = 0
    async with pagefind.PagefindIndex(config=config) as into:
        for page in searched(folder):
            name = page.relative_to(folder).as_posix()
            weight = 2.0 if page.match(CHAPTERS) else 1.0
            for each in sections(page.read_text("utf-8")):
                await into.add_html_file(
                    content=as_page(each, weight), url=f"{name}#{each.id}"
                )
                many += 1
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
    many = asyncio.run(index(Path(app.outdir)))
    LOG.info("search knows %d sections", many)


def setup(app):
    """Connect the extension."""
    app.add_config_value("has_finder", available(), "html", (bool,))
    app.connect("config-inited", say)
    app.connect("html-page-context", tell)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
