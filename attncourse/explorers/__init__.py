"""What the book's explorers show, computed when the book is built.

An explorer is a small interactive figure. Its module here says what it is:

- `TITLE`, its heading, and `ALT`, the words for its still figure;
- `data()`, what the page's script draws: plain lists, numbers and strings;
- `fallback()`, a Matplotlib figure for print and where no scripts run.

`book/_explorers/NAME.js` draws it; ``{explorer} NAME`` puts it on a page.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from types import ModuleType

# A page carries the data along, so it must stay small.
MOST_BYTES = 60_000


def names() -> list[str]:
    """Return the names of all explorers, in alphabetical order."""
    return sorted(
        each.name
        for each in pkgutil.iter_modules(__path__)
        if not each.name.startswith("_")
    )


def load(name: str) -> ModuleType:
    """Return the module of one explorer.

    Examples
    --------
    >>> load("temperature").TITLE
    'Temperature, from cold to hot'
    """
    if name not in names():
        raise ValueError(
            f"an explorer must be one of {', '.join(names())}: got {name!r}"
        )
    return importlib.import_module(f"{__name__}.{name}")


def as_json(data: object) -> str:
    r"""Return data as JSON that may stand inside a page's script element.

    Raises
    ------
    ValueError
        If a number is not finite, or the text is too long for a page.

    Examples
    --------
    >>> as_json({"scores": [1.0, -0.5], "name": "</script>"})
    '{"scores":[1.0,-0.5],"name":"\\u003c/script>"}'
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    # The only letter that could end the element, or open a comment in it.
    text = text.replace("<", "\\u003c")
    size = len(text.encode())
    if size > MOST_BYTES:
        raise ValueError(
            f"an explorer's data must fit into {MOST_BYTES} bytes: got {size}"
        )
    return text
