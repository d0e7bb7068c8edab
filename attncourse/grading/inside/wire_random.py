"""How a random generator crosses: by the state of its bit generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .wire_kinds import WireError

WORD, LONG = 1 << 32, 1 << 64
# The parts of a state: their names, how many numbers, below which bound.
# NumPy trusts what it is given: a position beyond its buffer would read
# memory that is not the generator's.
_TAIL = (("has_uint32", None, 2), ("uinteger", None, WORD))
_PCG = (("state.state", None, 1 << 128), ("state.inc", None, 1 << 128), *_TAIL)
_FORMS: dict[str, tuple[tuple[str, int | None, int], ...]] = {
    "PCG64": _PCG,
    "PCG64DXSM": _PCG,
    "MT19937": (("state.key", 624, WORD), ("state.pos", None, 625)),
    "Philox": (
        ("state.counter", 4, LONG),
        ("state.key", 2, LONG),
        ("buffer", 4, LONG),
        ("buffer_pos", None, 5),
        *_TAIL,
    ),
    "SFC64": (("state.state", 4, LONG), *_TAIL),
}
_DTYPES = {WORD: np.uint32, LONG: np.uint64}
MAX_SEED_PARTS = 64


def is_known(generator: np.random.Generator) -> bool:
    """Whether its bits come from one of NumPy's own sources."""
    kind = type(_bits(generator))
    name = kind.__name__
    return name in _FORMS and getattr(np.random, name) is kind


def _bits(generator: np.random.Generator) -> Any:
    return np.random.Generator.bit_generator.__get__(generator)  # type: ignore[attr-defined]


def generator_state(generator: np.random.Generator) -> tuple:
    """Return plain values that tell of a generator."""
    bits = _bits(generator)
    name = type(bits).__name__
    state, parts = bits.state, list[int]()
    for path, count, _ in _FORMS[name]:
        value = state
        for key in path.split("."):
            value = value[key]
        parts += [int(value)] if count is None else [int(v) for v in value]
    return name, tuple(parts), _seed(getattr(bits, "seed_seq", None))


def _seed(sequence: Any) -> tuple | None:
    if type(sequence) is not np.random.SeedSequence:
        return None
    entropy = sequence.entropy
    if entropy is not None and not isinstance(entropy, int):
        entropy = tuple(int(part) for part in entropy)
    return (
        entropy,
        tuple(int(part) for part in sequence.spawn_key),
        int(sequence.pool_size),
        int(sequence.n_children_spawned),
    )


def generator_from(plain: Any) -> np.random.Generator:
    """Return the generator that these plain values tell of."""
    name, parts, seed = _tuple(plain, 3)
    if type(name) is not str or name not in _FORMS:
        raise WireError("a random generator must be one of NumPy's")
    form = _FORMS[name]
    left = iter(_tuple(parts, sum(count or 1 for _, count, _ in form)))
    state: dict[str, Any] = {"bit_generator": name, "state": {}}
    for path, count, bound in form:
        numbers = [_below(next(left), bound) for _ in range(count or 1)]
        *inner, key = path.split(".")
        place = state["state"] if inner else state
        place[key] = (
            numbers[0] if count is None else np.array(numbers, _DTYPES[bound])
        )
    kind: Callable[[Any], Any] = getattr(np.random, name)
    bits = kind(_seed_from(seed))
    bits.state = state
    return np.random.Generator(bits)


def _seed_from(plain: Any) -> np.random.SeedSequence:
    if plain is None:
        return np.random.SeedSequence(0)
    entropy, spawn_key, pool_size, children = _tuple(plain, 4)
    if type(entropy) is tuple:
        entropy = [_below(part, 1 << 512) for part in _few(entropy)]
    elif entropy is not None:
        entropy = _below(entropy, 1 << 4096)
    if type(pool_size) is not int or not 4 <= pool_size <= 16:
        raise WireError("a seed's pool must hold 4 to 16 words")
    return np.random.SeedSequence(
        0 if entropy is None else entropy,
        spawn_key=tuple(_below(part, WORD) for part in _few(spawn_key)),
        pool_size=pool_size,
        n_children_spawned=_below(children, WORD),
    )


def _tuple(value: Any, length: int) -> tuple:
    if type(value) is not tuple or len(value) != length:
        raise WireError("a random generator's state must be complete")
    return value


def _few(value: Any) -> Sequence:
    if type(value) is not tuple or len(value) > MAX_SEED_PARTS:
        raise WireError(f"a seed has at most {MAX_SEED_PARTS} parts")
    return value


def _below(value: Any, bound: int) -> int:
    if type(value) is not int or not 0 <= value < bound:
        raise WireError("a random generator's state must be in its range")
    return value
