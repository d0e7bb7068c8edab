"""Text that others wrote, made harmless for pages, terminals and tables."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

# What a terminal obeys: sequences with parameters, titles, single letters.
ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?|\x9b[0-?]*[ -/]*[@-~]?"
)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufff9-\ufffb]")
SEPARATORS = re.compile(r"\r\n|[\x85\u2028\u2029]")
# What lets text read in another order than it runs.
DIRECTIONS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Surrogates cannot be written; two private letters are this package's own.
UNWRITABLE = re.compile(r"[\ud800-\udfff\ue000\ue001\ufffe\uffff]")
MARKS = (
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    r"\ufe20-\ufe2f]"
)
PILES = re.compile(f"({MARKS}{{3}}){MARKS}+")
FORMULA = re.compile(r"(^|[;,|\t\n])(\s*)(?=[=+\-@＝＋－＠﹦﹢﹣﹫])")
UNUSUAL = re.compile(r"[^\n\t -~]")
NAME_LENGTH = 120


def text(value: Any, limit: int | None = None) -> str:
    r"""Return text that is only text: no controls, no reordering.

    Colours of a terminal go, letters that turn the reading order are
    written out, what a carriage return overwrote is gone. Longer than
    `limit` it is cut, and says so.

    Examples
    --------
    >>> text("\x1b[31mred\x1b[0m 10%\r20%")
    '20%'
    >>> text("abcdef", limit=4)
    'abcd\n... 2 characters more'
    """
    whole = value if isinstance(value, str) else str(value)
    left_out = 0
    if limit is not None and len(whole) > limit:
        left_out = len(whole) - limit
        whole = whole[:limit]
    if UNUSUAL.search(whole):
        whole = _plain(whole)
    if left_out:
        whole += f"\n... {left_out:,} characters more"
    return whole


def _plain(whole: str) -> str:
    whole = SEPARATORS.sub("\n", whole)
    whole = ANSI.sub("", whole)
    if "\r" in whole:
        whole = "\n".join(
            line.rstrip("\r").rpartition("\r")[2] for line in whole.split("\n")
        )
    whole = CONTROLS.sub("", whole)
    whole = DIRECTIONS.sub(lambda m: f"[U+{ord(m[0]):04X}]", whole)
    whole = UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", whole)
    return PILES.sub(r"\1", whole)


def name(value: Any) -> str:
    r"""Return a name in one short line; an empty one is said to be empty.

    Examples
    --------
    >>> name("Ada\n  Lovelace"), name("")
    ('Ada Lovelace', '(no name)')
    """
    line = " ".join(text(value, limit=10_000).split())
    if len(line) > NAME_LENGTH:
        line = line[: NAME_LENGTH - 3] + "..."
    return line or "(no name)"


def cell(value: Any) -> str:
    """Return text for a cell of a spreadsheet that starts no formula.

    An apostrophe goes before a sign that would start one, also behind
    what some programs take for the end of a cell.

    Examples
    --------
    >>> cell("=1+1"), cell("a;@sum"), cell("plain - text")
    ("'=1+1", "a;'@sum", 'plain - text')
    """
    plain = text(value)
    return FORMULA.sub(r"\1\2'", plain)


def address(value: str) -> str:
    """Return a page's relative address for a link, or "" for another's.

    Examples
    --------
    >>> address("feedback/bo b.html"), address("javascript:x()")
    ('feedback/bo%20b.html', '')
    """
    if value.startswith(("/", "\\")) or re.match(r"[\w+.-]*:", value):
        return ""
    plain = UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    return quote(plain, safe="/")
