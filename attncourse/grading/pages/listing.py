"""Python on a page: numbered lines, with colours for the reader's eye."""

from __future__ import annotations

import keyword
import re
from html import escape

from attncourse.grading.pages import safe

MAX_LENGTH = 40_000
# One pass over any text, also over what is no Python; the group's name is
# the class.
TOKEN = re.compile(
    r"""
    (?P<c>\#[^\n]*)
    | (?P<s>(?:(?<!\w)[bfrtuBFRTU]{1,2})?(?:
        "{3}[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*(?:"{3}|\Z)
        | '{3}[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*(?:'{3}|\Z)
        | "[^"\\\n]*(?:\\.[^"\\\n]*)*"?
        | '[^'\\\n]*(?:\\.[^'\\\n]*)*'?))
    | (?P<n>\b\d[\w.]*)
    | (?P<d>(?:(?<=\bdef[ ])|(?<=\bclass[ ]))\w+)
    | (?P<k>\b(?:KEYWORDS)\b)
    """.replace("KEYWORDS", "|".join(keyword.kwlist)),
    re.VERBOSE | re.DOTALL,
)


def lines_of(source: str) -> list[str]:
    """Return a program's lines as text that is only text."""
    plain = source.replace("\r\n", "\n").replace("\r", "\n")
    return safe.text(plain, limit=MAX_LENGTH).rstrip("\n").split("\n")


def code(source: str, here: int | None = None) -> str:
    """Return Python with numbered lines; line `here` stands out."""
    drawn = []
    lines = _coloured("\n".join(lines_of(source)))
    for count, line in enumerate(lines, start=1):
        look = "l here" if count == here else "l"
        drawn.append(f'<span class="{look}">{line}\n</span>')
    return f'<pre class="code">{"".join(drawn)}</pre>'


def _coloured(source: str) -> list[str]:
    """Return the lines; a token that goes over lines is marked in each."""
    parts, end = [], 0
    for found in TOKEN.finditer(source):
        parts.append(escape(source[end : found.start()], quote=False))
        look = found.lastgroup
        parts.append(
            "\n".join(
                f'<span class="{look}">{line}</span>' if line else ""
                for line in escape(found[0], quote=False).split("\n")
            )
        )
        end = found.end()
    parts.append(escape(source[end:], quote=False))
    return "".join(parts).split("\n")
