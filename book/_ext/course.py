"""The book's own Sphinx extension: an honest cache and a page of errors."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
# Parts of the package that no chapter runs.
UNUSED = {
    "__main__.py",
    "bookmaking",
    "cli.py",
    "cli_options.py",
    "explorers",
    "live",
    "notebooks",
}
LABEL = re.compile(r"^\((e\d\d)\)=\s*$", re.MULTILINE)
TITLE = re.compile(r"\{admonition\}[^(\n]*\(E\d\d\)(?:: *(.+?))? *$", re.M)
BODY = re.compile(r"\n\n?((?:[^:\n].*\n)+)")


def computed_from() -> str:
    """Return a short hash of what the chapters' cells compute from."""
    digest = hashlib.sha256()
    package = ROOT / "attncourse"
    files = [
        file
        for file in sorted(package.rglob("*.py"))
        if file.relative_to(package).parts[0] not in UNUSED
    ]
    files += sorted((ROOT / "attncourse" / "data").glob("*"))
    files += sorted((ROOT / "book" / "measurements").glob("*.json"))
    for file in files:
        digest.update(file.relative_to(ROOT).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def claim(text: str) -> str:
    """Return what the box at the start of `text` says: its title's end.

    A title that is a number only is completed by the first sentence.
    """
    title = TITLE.search(text)
    if title and title[1]:
        said = title[1]
    else:
        body = BODY.search(text, title.end() if title else 0)
        said = " ".join((body[1] if body else "").split())
        said = re.split(r"(?<=[.;:?])\s", said)[0].rstrip(".;:")
    # Roles lead to places that the table does not need.
    said = re.sub(r"\{[\w:]+\}`([^`<]*?)\s*(?:<[^`]*>)?`", r"\1", said)
    return said[:1].upper() + said[1:]


def use_own_cache(app, config) -> None:
    """Keep executed chapters only as long as the package stays the same.

    Jupyter's cache looks at a chapter's own cells; this adds the code that
    they call.
    """
    caches = Path(app.outdir).parent / ".jupyter_cache"
    mine = caches / computed_from()
    if caches.is_dir():
        for other in caches.iterdir():
            if other.is_dir() and other != mine:
                shutil.rmtree(other, ignore_errors=True)
    config.nb_execution_cache_path = str(mine)


def read_again(app, env, added, changed, removed) -> list[str]:
    """Return every page, if what its cells compute from has changed.

    Sphinx looks at a page's own file only.
    """
    now = computed_from()
    before = getattr(env, "course_computed_from", None)
    env.course_computed_from = now
    return [] if before == now else sorted(env.found_docs)


class Errata(SphinxDirective):
    """A table of the documents' errors and where the book corrects them.

    Each ``(e12)=`` in a chapter, followed by its admonition, is one row.
    """

    def run(self) -> list[nodes.Node]:
        """Return the table, made from the chapters as they are now."""
        # Other pages decide what stands here.
        self.env.note_reread()
        found = []
        for name in sorted(self.env.found_docs):
            source = Path(self.env.doc2path(name))
            if source.suffix != ".md":
                continue
            text = source.read_text(encoding="utf-8")
            for label in LABEL.finditer(text):
                found.append((label[1], claim(text[label.end() :])))
        lines = [":::{list-table}", ":class: errata", ":header-rows: 1", ""]
        lines += ["* - Error", "  - What they say"]
        for label, said in sorted(found):
            name = label.upper()
            lines += [
                f'* - <span id="error-{label}"></span>'
                f"{{ref}}`{name} <{label}>`",
                f"  - {said}",
            ]
        lines.append(":::")
        box = nodes.container()
        if found:
            where = self.env.doc2path(self.env.docname)
            self.state.nested_parse(StringList(lines, where), 0, box)
        return box.children


def setup(app):
    """Connect the extension."""
    # Before myst-nb reads the configuration.
    app.connect("config-inited", use_own_cache, priority=1)
    app.connect("env-get-outdated", read_again)
    app.add_directive("errata", Errata)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
