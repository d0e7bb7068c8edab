"""What may be a key of a dictionary, or a member of a set."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from . import wire_tags as tag
from .wire_kinds import WireError

# Keys that all hash alike would take quadratic time. A few honest ones do:
# hash(-1) == hash(-2).
SAME_HASH = 64
_PLAIN = frozenset(
    {bool, int, float, complex, str, bytes, type(None), type(...)}
    | {getattr(np, name) for name in (*tag.SCALARS, "str_", "bytes_")}
)


def checked(keys: list) -> list:
    """Return keys that are plain data, and do not all hash alike."""
    for key in keys:
        if type(key) not in _PLAIN:
            _check(key)
    if len(keys) > SAME_HASH:
        most = max(Counter(map(hash, keys)).values())
        if most > SAME_HASH:
            raise WireError(f"keys must not hash alike: got {most} that do")
    return keys


def _check(key: Any) -> None:
    kind = type(key)
    if kind is tuple or kind is frozenset:
        for part in key:
            _check(part)
    elif kind not in _PLAIN:
        raise WireError(f"a key must be plain data: got {kind.__name__}")
