"""Write arguments that came back from a call into the caller's own.

So "in place" and "left as it was" hold on the caller's side as well: what a
function did to its copy of an argument is done to the caller's argument.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

CHANGED = "the arguments were changed into something of another form"


def written_back(
    value: Any,
    came: tuple[tuple, dict[str, Any]],
    args: tuple,
    kwargs: dict[str, Any],
    remember: Callable[[str], None],
) -> Any:
    """Return the value of a call, once its arguments are as it left them.

    `came` are the arguments as they came back. Where the value is one of
    them, or holds one, it is the caller's own. What cannot be written,
    such as another shape, is remembered.
    """
    if came[0] is args and came[1] is kwargs:
        return value
    writer = _Writer(remember)
    for mine, other in zip(args, came[0], strict=False):
        writer.pair(mine, other)
    for name, mine in kwargs.items():
        if name in came[1]:
            writer.pair(mine, came[1][name])
    return writer.own(value)


class _Writer:
    def __init__(self, remember: Callable[[str], None]) -> None:
        self.remember = remember
        self.mine: dict[int, Any] = {}
        self.kept: list[Any] = []  # so that no id is used twice

    def pair(self, mine: Any, came: Any) -> Any:
        """Make `mine` like what came, and return what to hold from now."""
        kind = type(mine)
        if kind is not type(came):
            return self._odd(mine, came)
        self.kept.append(came)
        if isinstance(mine, np.ndarray):
            self._array(mine, came)
        elif kind is list:
            self._list(mine, came)
        elif kind is dict:
            self._dict(mine, came)
        elif kind is tuple and len(mine) == len(came):
            for one, other in zip(mine, came, strict=True):
                self.pair(one, other)
        elif kind is set:
            if mine != came:
                mine.clear()
                mine.update(came)
        elif kind is np.random.Generator:
            mine.bit_generator.state = came.bit_generator.state
        elif _is_tensor(mine):
            self._tensor(mine, came)
        else:
            return came
        self.mine[id(came)] = mine
        return mine

    def _odd(self, mine: Any, came: Any) -> Any:
        """Return what to hold where the two are of different types."""
        if callable(mine):  # a function of the caller, which came back
            self.kept.append(came)
            self.mine[id(came)] = mine
            return mine
        data = (np.ndarray, list, dict, tuple, set)
        if isinstance(mine, data) and not isinstance(came, data):
            self.remember(CHANGED)
        plain = mine is None or isinstance(mine, (bool, int, float, str))
        return came if plain else mine

    def _array(self, mine: np.ndarray, came: np.ndarray) -> None:
        if mine.dtype != came.dtype or mine.size != came.size:
            self.remember(CHANGED)
            return
        if mine.shape != came.shape:
            try:
                mine.shape = came.shape
            except AttributeError:  # not without a copy
                self.remember(CHANGED)
                return
        if _same(mine, came):
            return
        locked = not mine.flags.writeable
        try:
            if locked:
                mine.flags.writeable = True
            mine[...] = came
        except ValueError:  # a view of what cannot be written
            self.remember(CHANGED)
        finally:
            if locked:
                mine.flags.writeable = False

    def _list(self, mine: list, came: list) -> None:
        held = [
            self.pair(one, other)
            for one, other in zip(mine, came, strict=False)
        ]
        mine[:] = held + came[len(held) :]

    def _dict(self, mine: dict, came: dict) -> None:
        held = {
            key: self.pair(mine[key], value) if key in mine else value
            for key, value in came.items()
        }
        mine.clear()
        mine.update(held)

    def _tensor(self, mine: Any, came: Any) -> None:
        if mine.shape != came.shape or mine.dtype != came.dtype:
            self.remember(CHANGED)
            return
        torch = sys.modules["torch"]
        with torch.no_grad():
            old = mine.detach()
            same = (old == came) | ((old != old) & (came != came))
            if not bool(same.all()):
                old.copy_(came.detach())

    def own(self, value: Any) -> Any:
        """Return a value with the caller's arguments where they came back."""
        if id(value) in self.mine:
            return self.mine[id(value)]
        if type(value) in (list, tuple):
            return type(value)(self.own(item) for item in value)
        if type(value) is dict:
            return {key: self.own(item) for key, item in value.items()}
        return value


def _same(mine: np.ndarray, came: np.ndarray) -> bool:
    """Tell whether two arrays hold the same, NaN for NaN."""
    if mine.dtype.kind in "fc":
        return bool(((mine == came) | ((mine != mine) & (came != came))).all())
    return bool((mine == came).all())


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
