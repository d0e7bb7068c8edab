"""What stands for jaxtyping in the browser: annotations without checks.

The archive for the browser holds this module as ``jaxtyping``. The named
axes are for readers and for the tests; importing the real package would
cost every reader's first check a good part of a second.
"""

from __future__ import annotations

from typing import Any


class Named:
    """A type of array elements; with axes it is the array's own type.

    Examples
    --------
    >>> Named[list, "queries dim"]
    <class 'list'>
    """

    def __class_getitem__(cls, named: tuple[Any, str]) -> Any:
        return named[0]


def __getattr__(name: str) -> type[Named]:
    if name[:1].isupper():
        return Named
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
