"""What the theme and Sphinx leave undone for readers who cannot see or point.

`tests/browser/test_access.py` says what must hold; each mend names its rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

# Parameters that stand on lines of their own. A list of definitions may not
# hold definitions only (axe: definition-list).
SIGNATURE = re.compile(
    r'(<span class="sig-paren">[(\[]</span>)\s*<dl>(.*?)</dl>\s*', re.DOTALL
)
# A menu's arrow has no words (axe: summary-name).
ARROW = re.compile(
    r"(?P<link><a\b[^>]*>(?P<text>(?:(?!</?a\b).)*)</a>\s*<details[^>]*>\s*)"
    r"<summary>",
    re.DOTALL,
)
TAG = re.compile(r"<[^>]+>")
# The roles of bibliographies were taken back, and without them a list has
# no items (axe: aria-deprecated-role, aria-required-children).
ENTRY = ' role="doc-biblioentry"'
INDEX_TABLE = '<table style="width: 100%" class="indextable genindextable"'


def lines_of_signature(found: re.Match) -> str:
    """Return a signature's list of parameters as lines of one text."""
    inside = found[2].replace("<dd>", '<span class="sig-line">')
    inside = inside.replace("</dd>", "</span>")
    return f'{found[1]}<span class="sig-lines">{inside}</span>'


def mended(body: str) -> str:
    """Return a page's text without what Sphinx gets wrong.

    Examples
    --------
    >>> mended('<div class="citation" role="doc-biblioentry">')
    '<div class="citation" role="listitem">'
    """
    body = SIGNATURE.sub(lines_of_signature, body)
    return body.replace(ENTRY, ' role="listitem"')


def named_arrows(menu: str) -> str:
    """Return a menu whose arrows say what they open.

    Examples
    --------
    >>> named_arrows('<a href="x">Library</a><details><summary>')
    '<a href="x">Library</a><details><summary aria-label="Parts of Library">'
    """

    def name(found: re.Match) -> str:
        text = " ".join(TAG.sub("", found["text"]).split())
        return f'{found["link"]}<summary aria-label="Parts of {text}">'

    return ARROW.sub(name, menu)


def mend(app, pagename, templatename, context, doctree) -> None:
    """Mend the text and the menu of a page before it is written."""
    if "body" in context:
        context["body"] = mended(context["body"])
    made: Callable | None = context.get("generate_toctree_html")
    if made is not None:
        context["generate_toctree_html"] = lambda *args, **kwargs: (
            named_arrows(str(made(*args, **kwargs)))
        )


def finish(app, error) -> None:
    """Remove the theme's fragments of pages, and name a layout for one."""
    if error is not None or app.builder.format != "html":
        return
    for file in (Path(app.outdir) / "_static").glob("*macros.html"):
        file.unlink()
    index = Path(app.outdir) / "genindex.html"
    if index.is_file():
        # These tables only put lists side by side.
        text = index.read_text(encoding="utf-8")
        made = f'{INDEX_TABLE} role="presentation">'
        text = text.replace(f"{INDEX_TABLE}>", made)
        index.write_text(text, encoding="utf-8")


def setup(app):
    """Connect the extension."""
    # After the theme has put its functions there.
    app.connect("html-page-context", mend, priority=950)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
