"""What every page is made of: the frame, code, marks and numbers."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from html import escape

from attncourse.grading.pages import safe
from attncourse.grading.pages.style import CSS

LABELS = {
    "pass": "All right",
    "partial": "Partly right",
    "fail": "Not yet right",
    "error": "Stopped with an error",
    "timeout": "Took too long",
    "out-of-memory": "Used too much memory",
    "crashed": "Ended its process",
    "missing": "Nothing to grade",
}
MARKS = {
    "pass": "\N{CHECK MARK}",
    "partial": "\N{CIRCLE WITH LEFT HALF BLACK}",
    "fail": "\N{MULTIPLICATION X}",
    "error": "!",
    "timeout": "!",
    "out-of-memory": "!",
    "crashed": "!",
    "missing": "\N{EN DASH}",
}


def policy() -> str:
    """Return the content-security policy: nothing loads, nothing runs."""
    digest = hashlib.sha256(CSS.encode()).digest()
    return (
        "default-src 'none'; img-src data:; "
        f"style-src 'sha256-{base64.b64encode(digest).decode()}'; "
        "base-uri 'none'; form-action 'none'"
    )


def document(title: str, body: str, *, wide: bool = False) -> str:
    """Return a whole page that needs no script and no network.

    The policy comes before anything that it could forbid.
    """
    look = ' class="wide"' if wide else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f'content="{policy()}">\n'
        '<meta name="viewport" content="width=device-width, '
        'initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="robots" content="noindex">\n'
        f"<title>{said(title)}</title>\n<style>{CSS}</style>\n</head>\n"
        f"<body{look}>\n"
        '<a class="skip" href="#content">To the content</a>\n'
        f"{body}\n</body>\n</html>\n"
    )


CODE = re.compile(r"`([^`\n]+)`")


def said(text: object) -> str:
    """Return text for a page: harmless, and escaped."""
    return escape(safe.text(text))


def coded(text: object) -> str:
    """Return the course's own words, with what is code in them as code.

    Examples
    --------
    >>> coded("`a < b` holds")
    '<code>a &lt; b</code> holds'
    """
    return CODE.sub(r"<code>\1</code>", said(text))


def named(text: object) -> str:
    """Return a name for a page: one short line, escaped."""
    return escape(safe.name(text))


def number(value: float) -> str:
    """Return a number as people write points.

    Examples
    --------
    >>> number(3.0), number(2.5), number(1 / 3), number(-0.001)
    ('3', '2.5', '0.33', '0')
    """
    shown = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def worth(value: float) -> str:
    """Return a number of points and their noun.

    Examples
    --------
    >>> worth(1.0), worth(2.5)
    ('1 point', '2.5 points')
    """
    return f"{number(value)} {'point' if value == 1 else 'points'}"


def counted(amount: int, one: str, many: str = "") -> str:
    """Return an amount and its noun.

    Examples
    --------
    >>> counted(1, "student"), counted(2, "student")
    ('1 student', '2 students')
    """
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def seconds(value: float) -> str:
    """Return a time in a unit that fits it.

    Examples
    --------
    >>> seconds(0.0042), seconds(3.21)
    ('4 ms', '3.2 s')
    """
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def bar(parts: Iterable[tuple[str, float]], label: str) -> str:
    """Return a horizontal bar; `parts` are shares of it, with classes.

    `label` says in words what it shows.
    """
    drawn, left = [], 0.0
    for look, share in parts:
        width = 100 * max(0.0, min(share, 1.0))
        if width:
            drawn.append(
                f'<rect class="{look}" x="{left:.2f}" y="0" '
                f'width="{width:.2f}" height="10"/>'
            )
        left += width
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" '
        f'role="img" aria-label="{escape(label)}">'
        '<rect class="back" x="0" y="0" width="100" height="10"/>'
        f"{''.join(drawn)}</svg>"
    )
