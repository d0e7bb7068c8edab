"""HTML and Markdown that others wrote, shown without letting it act."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape, unescape
from typing import Any
from urllib.parse import unquote

import bleach
import mistune
from jinja2 import pass_context
from mistune.plugins.formatting import strikethrough
from mistune.plugins.math import math
from mistune.plugins.table import table

from attncourse.grading.pages import safe
from attncourse.grading.pages.drawings import vector
from attncourse.grading.pages.pictures import raster

KNOWN = """
a abbr b blockquote br caption code col colgroup dd del details div dl dt em
h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong
sub summary sup table tbody td tfoot th thead tr u ul var
"""
TAGS = frozenset(KNOWN.split())
NUMBERS = {
    "td": ["colspan", "rowspan"],
    "th": ["colspan", "rowspan", "scope"],
    "ol": ["start"],
}
# Their text is no text for people.
UNSEEN = re.compile(
    r"<(script|style|template|noscript|title|iframe|object|textarea|math)\b"
    r".*?(?:</\1\s*>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
DRAWING = re.compile(r"<svg\b.*?</svg\s*>", re.DOTALL | re.IGNORECASE)
LABEL = re.compile(r"""aria-label=(?:"([^"<>]*)"|'([^'<>]*)')""")
# Stands for a drawing while the rest is cleaned; safe.text removes it.
HOLD = "\ue000{}\ue001"
HELD = re.compile("\ue000(\\d+)\ue001")
PICTURE = re.compile(r"data:(image/(?:png|jpeg|gif));base64,(.*)\Z", re.DOTALL)
COLOURED = re.compile(r'\s*<div class="highlight[ \w-]*"><pre>')
COLOUR = re.compile(r"highlight|hl-\w+|[a-z][a-z0-9]?")
PLUGINS = (strikethrough, math, table)
MAX_LENGTH = 1 << 18
MAX_TAGS = 4_000
# A class shows the same checks again and again; floods are not kept.
MAX_KEPT = 1 << 15


def html(fragment: str) -> str:
    """Return HTML without anything that runs, loads, sends or disguises.

    Classes, ids and styles go too: what a student shows can neither look
    like a verdict nor lie over one. Too large a fragment becomes text.

    Examples
    --------
    >>> html('<p class="pass" onclick="x()">Hi<script>x()</script></p>')
    '<p>Hi</p>'
    """
    if len(fragment) > MAX_LENGTH or fragment.count("<") > MAX_TAGS:
        shown = escape(safe.text(fragment, limit=10_000))
        return f"<pre>{shown}</pre>"
    if len(fragment) > MAX_KEPT:
        return _cleaned.__wrapped__(fragment)
    return _cleaned(fragment)


@lru_cache(maxsize=64)
def _cleaned(fragment: str) -> str:
    fragment = safe.text(fragment)
    drawn: list[str] = []

    def hold(found: re.Match) -> str:
        drawn.append(found[0])
        return HOLD.format(len(drawn) - 1)

    fragment = DRAWING.sub(hold, fragment)
    fragment = UNSEEN.sub("", fragment)
    if "<" in fragment or "&" in fragment:
        fragment = bleach.clean(
            fragment,
            tags=TAGS,
            attributes=_allowed,
            protocols={"http", "https", "mailto", "data"},
            strip=True,
            strip_comments=True,
        )
    else:
        fragment = escape(fragment, quote=False)
    return HELD.sub(lambda found: _image(drawn[int(found[1])]), fragment)


def _allowed(tag: str, key: str, value: str) -> bool:
    if key in NUMBERS.get(tag, ()):
        return bool(re.match(r"[1-9]\d{0,2}\Z|(?:row|col)\Z", value))
    if tag == "img" and key == "src":
        found = PICTURE.match(value)
        return found is not None and bool(raster(found[1], found[2]))
    if tag == "a" and key == "href":
        return bool(re.match(r"(?:https?://|mailto:)[^\s\"'<>]+\Z", value))
    return key == "title" or (tag == "img" and key == "alt")


def _image(source: str) -> str:
    drawn = vector(source)
    if drawn is None:
        return "<em>(a drawing that cannot be shown)</em>"
    label = LABEL.search(source[:2_000])
    alt = unescape(label[1] or label[2] or "") if label else ""
    return f'<img src="{drawn}" alt="{escape(safe.name(alt or "drawing"))}">'


def markdown(source: str, attachments: Any = None) -> str:
    """Return Markdown as HTML that cannot act; formulas stay as they are.

    Examples
    --------
    >>> markdown("*a* <img src=x onerror=y()>").strip()
    '<p><em>a</em> <img></p>'
    """
    if len(source) > MAX_LENGTH // 8:
        return f"<pre>{escape(safe.text(source, limit=10_000))}</pre>"
    drawing = _Markdown(_attached(attachments))
    try:
        parse = mistune.Markdown(drawing, plugins=PLUGINS)
        drawn = str(parse(safe.text(source)))
    except (RecursionError, ValueError):
        return f"<pre>{escape(safe.text(source))}</pre>"
    return html(drawn)


class _Markdown(mistune.HTMLRenderer):
    """Leaves formulas as they are, and finds a cell's own pictures."""

    def __init__(self, attached: dict[str, str]) -> None:
        super().__init__(escape=False, allow_harmful_protocols=True)
        self.attached = attached

    def image(self, text: str, url: str, title: str | None = None) -> str:
        name = url.removeprefix("attachment:")
        url = self.attached.get(unquote(name), url)
        return super().image(text, url, title)

    def inline_math(self, text: str) -> str:
        return f"${escape(text)}$"

    def block_math(self, text: str) -> str:
        return f"<p>$$\n{escape(text)}\n$$</p>\n"


def _attached(bundles: Any) -> dict[str, str]:
    """Return the address of each attached picture, by its name."""
    return {
        name: found
        for name, bundle in (
            bundles.items() if isinstance(bundles, dict) else ()
        )
        if isinstance(bundle, dict)
        for kind, data in bundle.items()
        if (found := raster(kind, data))
    }


@pass_context
def safe_markdown(context: Any, source: str) -> str:
    """Return a cell's Markdown as HTML, for templates of nbconvert."""
    cell = context.get("cell", {})
    return markdown(source, cell.get("attachments", {}))


def clean(fragment: Any) -> str:
    """Return HTML that cannot act, for templates of nbconvert.

    They pass coloured code through it, too, so the short classes that
    colour it stay.
    """
    if isinstance(fragment, bytes):
        fragment = fragment.decode("utf-8", "replace")
    text = str(fragment)
    if COLOURED.match(text):
        return bleach.clean(
            safe.text(text),
            tags={"div", "pre", "span"},
            attributes=lambda tag, key, value: (
                key == "class" and all(map(COLOUR.fullmatch, value.split()))
            ),
            strip=True,
        )
    return html(text)


# For `c.HTMLExporter.filters`, together with `sanitize_html`.
FILTERS = {"markdown2html": safe_markdown, "clean_html": clean}
