"""Axis names, array types and the errors that speak of them.

The letters of the course: ``q`` has shape ``(..., queries, dim)``, ``k``
has ``(..., keys, dim)``, ``v`` has ``(..., keys, value_dim)``. Leading
axes broadcast. A boolean mask is True where a query may look.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

# Axis strings, shared by the NumPy types below and the torch modules.
# `#batch` lets leading axes broadcast.
QUERIES = "*#batch queries dim"
KEYS = "*#batch keys dim"
VALUES = "*#batch keys value_dim"
SCORES = "*#batch queries keys"
OUTPUT = "*#batch queries value_dim"

Array = np.ndarray
Queries = Float[Array, QUERIES]
Keys = Float[Array, KEYS]
Values = Float[Array, VALUES]
Scores = Float[Array, SCORES]
Weights = Float[Array, SCORES]
Output = Float[Array, OUTPUT]
# One mask row may serve all queries, one column all keys.
Mask = Bool[Array, "*#batch #queries #keys"]


def real(name: str, value: Any, axes: str = "") -> Array:
    """Return `value` as float64 and require the named trailing axes.

    Parameters
    ----------
    name : what the error message calls the value.
    value : anything NumPy reads as real numbers.
    axes : trailing axes by name, for instance ``"queries dim"``.

    Raises
    ------
    TypeError
        If the value does not hold real numbers.
    ValueError
        If it has fewer axes than named.

    Examples
    --------
    >>> real("q", [[1, 2, 3]], "queries dim").shape
    (1, 3)
    """
    try:
        array = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise TypeError(
            f"{name} must be an array of real numbers: {error}"
        ) from None
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"{name} must hold real numbers: got dtype {array.dtype}"
        )
    named = axes.split()
    if array.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {array.shape}"
        )
    return array.astype(np.float64)


def boolean(name: str, value: Any, axes: str = "") -> Array:
    """Return `value` as a boolean array; refuse numbers, which are ambiguous.

    Examples
    --------
    >>> boolean("mask", [[True, False]], "queries keys").shape
    (1, 2)
    """
    try:
        array = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise TypeError(f"{name} must be a boolean array: {error}") from None
    if array.dtype != np.bool_:
        raise TypeError(
            f"{name} must be boolean, True where a query may look: "
            f"got dtype {array.dtype}"
        )
    named = axes.split()
    if array.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {array.shape}"
        )
    return array


def require_equal(axis: str, **sizes: int) -> None:
    """Require one size for an axis that several arrays share.

    Examples
    --------
    >>> require_equal("dim", q=4, k=4)
    >>> require_equal("dim", q=4, k=5)
    Traceback (most recent call last):
    ValueError: q and k must agree in dim: got q=4, k=5
    """
    if len(set(sizes.values())) > 1:
        who = " and ".join(sizes)
        got = ", ".join(f"{name}={size}" for name, size in sizes.items())
        raise ValueError(f"{who} must agree in {axis}: got {got}")


def require_broadcast(**shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that the given shapes broadcast to.

    Examples
    --------
    >>> require_broadcast(q=(2, 1), k=(3,))
    (2, 3)
    """
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        who = " and ".join(shapes)
        got = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"leading axes of {who} must broadcast: got {got}"
        ) from None


def sum_to(array: Array, shape: tuple[int, ...]) -> Array:
    """Return sums over the axes along which `shape` would be repeated.

    This undoes a broadcast: the gradient of an array that was read several
    times is the sum over all readings.

    Examples
    --------
    >>> sum_to(np.ones((2, 3, 5)), (3, 1)).tolist()
    [[10.0], [10.0], [10.0]]
    """
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    repeated = [n for n, size in enumerate(shape) if size != array.shape[n]]
    return array.sum(axis=tuple(repeated), keepdims=True)


def count(name: str, value: Any, *, least: int = 1) -> int:
    """Return `value` as an int and require it to be at least `least`.

    Examples
    --------
    >>> count("heads", 4)
    4
    >>> count("heads", 0)
    Traceback (most recent call last):
    ValueError: heads must be at least 1: got 0
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number: got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}: got {value}")
    return int(value)
