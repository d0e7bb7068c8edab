"""Functions that a test brings along, without a name that tells of them.

A candidate called ``wrong_scale`` would be easy to tell from a right one,
and so would one whose error messages say what it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attncourse.grading.inside.naming import named
from attncourse.grading.inside.wire import Handle
from attncourse.grading.judging.proxies import Proxy


def anonymous(value: Any) -> Any:
    """Return arguments in which the judge's functions have no names.

    What has none in it is returned as it is.
    """
    if type(value) in (tuple, list):
        items = [anonymous(item) for item in value]
        same = all(map(_is, items, value))
        return value if same else type(value)(items)
    if type(value) is dict:
        found = {key: anonymous(item) for key, item in value.items()}
        same = all(map(_is, found.values(), value.values()))
        return value if same else found
    if not callable(value) or isinstance(value, (Proxy, Handle)):
        return value
    return value if named(value) is not None else Anonymous(value)


def _is(one: Any, other: Any) -> bool:
    return one is other


class Anonymous:
    """A function of the judge as a student may know it."""

    __name__ = __qualname__ = "function"

    def __init__(self, function: Callable) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; an error does not tell its name either."""
        try:
            return self.function(*args, **kwargs)
        except Exception as error:
            raise _told(error, self.function) from None


def _told(error: Exception, function: Callable) -> Exception:
    """Return an error whose message does not name the function."""
    text, kind = str(error), type(error)
    for name in ("__qualname__", "__name__"):
        own = getattr(function, name, None)
        if isinstance(own, str) and own:
            text = text.replace(own, "function")
    if text == str(error):
        return error
    try:
        return kind(text)
    except Exception:
        return RuntimeError(text)
