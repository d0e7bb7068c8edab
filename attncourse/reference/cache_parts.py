"""What the caches share: the shapes of a step, and what must fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from attncourse.shapes import Array, real, require_equal

# For the caches alone; they are in `cache`.
__all__: list[str] = []

HeadQueries = Float[Array, "*batch heads tokens dim"]
GroupKeys = Float[Array, "*batch groups tokens dim"]
GroupValues = Float[Array, "*batch groups tokens value_dim"]
HeadOutput = Float[Array, "*batch heads tokens value_dim"]
Lengths = Int[Array, "*batch"]
# From queries or keys and their positions to the same, turned.
Encode = Callable[[Any, Any], Any]


def whole(name: str, value: Any, axes: str = "") -> Int[Array, "..."]:
    """Return `value` as int64 and require the named trailing axes.

    Source: as `shapes.real`, for numbers that count or place tokens.

    Examples
    --------
    >>> whole("lengths", [5, 0], "batch").tolist()
    [5, 0]
    """
    try:
        array = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise TypeError(f"{name} must hold whole numbers: {error}") from None
    if array.dtype.kind not in "iu" and (array.size or not array.ndim):
        raise TypeError(
            f"{name} must hold whole numbers: got dtype {array.dtype}"
        )
    named = axes.split()
    if array.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {array.shape}"
        )
    return array.astype(np.int64)


def fitting(
    k: GroupKeys, v: GroupValues, counts: Any, cache: Any
) -> tuple[GroupKeys, GroupValues, Lengths]:
    """Return new keys, values and counts, which must fit those held.

    Source: the shapes of Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> from attncourse.reference.cache_full import new_full_cache
    >>> cache = new_full_cache(2, groups=1, dim=3)
    >>> k = np.ones((2, 1, 5, 3))
    >>> fitting(k, k, None, cache)[2].tolist()
    [5, 5]
    """
    k = real("k", k, "groups tokens dim")
    v = real("v", v, "groups tokens value_dim")
    require_equal("tokens", k=k.shape[-2], v=v.shape[-2])
    batch, tokens = np.shape(cache.lengths), k.shape[-2]
    held = {"k": (k, cache.keys), "v": (v, cache.values)}
    for name, (new, old) in held.items():
        want = (*batch, old.shape[-3], tokens, old.shape[-1])
        if new.shape != want:
            raise ValueError(
                f"{name} must fit the cache, shape {want}: got {new.shape}"
            )
    counts = whole("counts", tokens if counts is None else counts)
    if counts.shape not in ((), batch):
        raise ValueError(
            f"counts must have one number for each sequence {batch}: "
            f"got {counts.shape}"
        )
    if counts.size and not 0 <= counts.min() <= counts.max() <= tokens:
        raise ValueError(
            f"counts must lie between 0 and tokens={tokens}: "
            f"got {counts.min()} to {counts.max()}"
        )
    return k, v, np.broadcast_to(counts, batch).copy()
