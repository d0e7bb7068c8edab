"""Show what students wrote without letting it act.

nbgrader's pages render Markdown as HTML with whatever stands in it, in a
reader's browser and, in formgrader, in the instructor's session. These
filters replace nbconvert's, so that only harmless elements remain.
"""

from __future__ import annotations

import re
from typing import Any

import bleach
from bleach.css_sanitizer import CSSSanitizer
from jinja2 import pass_context
from nbconvert.filters.markdown_mistune import (
    IPythonRenderer,
    MarkdownWithMath,
)

ELEMENTS = """
a abbr b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr
i img li ol p pre s small span strong sub summary sup table tbody td th thead
tr ul
"""
TAGS = frozenset(ELEMENTS.split())
ATTRIBUTES = {
    "a": ["href", "title"],
    "abbr": ["title"],
    "img": ["src", "alt", "title", "width", "height"],
    "*": ["class", "style"],
}
STYLES = CSSSanitizer(
    allowed_css_properties=[
        "border-left",
        "list-style",
        "padding",
        "padding-left",
        "text-align",
    ]
)
# A picture in a data address cannot act; any other picture would tell its
# server who reads the page.
PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*\Z")


def clean(html: Any) -> str:
    """Return HTML without anything that runs, loads or sends.

    Examples
    --------
    >>> clean('<p onclick="x()">Hi<script>x()</script></p>')
    '<p>Hix()</p>'
    """
    text = html.decode() if isinstance(html, bytes) else str(html)
    return bleach.clean(
        text,
        tags=TAGS,
        attributes=_allowed,
        protocols={"http", "https", "mailto", "data"},
        css_sanitizer=STYLES,
        strip=True,
        strip_comments=True,
    )


def _allowed(tag: str, name: str, value: str) -> bool:
    if name not in ATTRIBUTES.get(tag, []) + ATTRIBUTES["*"]:
        return False
    if name == "src":
        return bool(PICTURE.match(value))
    if name == "href":
        return value.startswith(("http://", "https://", "mailto:", "#"))
    return True


@pass_context
def safe_markdown(context: Any, source: str) -> str:
    """Return Markdown as HTML that cannot act; formulas stay as they are."""
    cell = context.get("cell", {})
    renderer = IPythonRenderer(
        escape=False,
        attachments=cell.get("attachments", {}),
        embed_images=False,
        exclude_anchor_links=True,
    )
    return clean(MarkdownWithMath(renderer=renderer).render(source))


# For `c.HTMLExporter.filters`.
FILTERS = {"markdown2html": safe_markdown, "clean_html": clean}
