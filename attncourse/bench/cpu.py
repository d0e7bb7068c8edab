"""Tiled attention against torch's operator on the CPU, case by case.

Single precision, one sequence of eight heads, head width 64. `theirs` is
always `torch.nn.functional.scaled_dot_product_attention`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attncourse.bench import memory
from attncourse.bench.timing import Work, compare
from attncourse.fast import tiled
from attncourse.fast.masks import causal_mask

HEADS, GROUPS, DIM, WINDOW = 8, 2, 64, 256
SHORT, LONG = 256, 8192
Arrays = tuple[Tensor, Tensor, Tensor]
Attention = Callable[..., Tensor]
sdpa: Attention = torch.nn.functional.scaled_dot_product_attention


@dataclass(frozen=True)
class Case:
    """Two ways to the same result; `target` is the ratio to stay below.

    Skipping keys pays the more, the more there are, so that the targets of
    the window and of the cache are set for LONG ones; None below that.
    """

    name: str
    length: int
    target: float | None
    ours: Work
    theirs: Work
    threads: int = 1
    beside: Work | None = None  # a second comparison, for the record
    beside_name: str = ""


def cases(lengths: Sequence[int]) -> Iterator[Case]:
    """Yield the cases for sequences of the given lengths, in turn."""
    for length in lengths:
        yield from _dense(length)
        if length > SHORT:
            yield _window(length)
            yield _decode(length)
    longest = max(lengths)
    arrays = _arrays(longest)
    yield Case(
        "forward, two threads",
        longest,
        1.15,
        functools.partial(tiled.attention, *arrays),
        functools.partial(sdpa, *arrays),
        threads=2,
    )


def measure(case: Case, *, rounds: int) -> dict:
    """Return what was measured of one case, ready for JSON."""
    before = torch.get_num_threads()
    torch.set_num_threads(case.threads)
    try:
        timing = compare(
            case.ours, case.theirs, rounds=rounds, threads=case.threads
        )
        row = {
            "name": case.name,
            "length": case.length,
            "threads": case.threads,
            "ours_ms": timing.ours_ms,
            "sdpa_ms": timing.theirs_ms,
            "ratio": timing.ratio,
            "target": case.target,
            "rounds": timing.rounds,
            "clock": timing.clock,
        }
        if case.beside is not None:
            other = compare(
                case.ours, case.beside, rounds=rounds, threads=case.threads
            )
            row["beside"] = {"name": case.beside_name, "ratio": other.ratio}
    finally:
        torch.set_num_threads(before)
    return row


def extra_memory(length: int) -> dict:
    """Return the extra memory of one forward pass, output included."""
    arrays = _arrays(length)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours = memory.extra_bytes(lambda: tiled.attention(*arrays))
        theirs = memory.extra_bytes(lambda: sdpa(*arrays))
    finally:
        torch.set_num_threads(before)
    return {
        "length": length,
        "ours_bytes": ours,
        "sdpa_bytes": theirs,
        "scores_bytes": 4 * HEADS * length**2,
    }


def _arrays(length: int, *, queries: int = 0, groups: int = HEADS) -> Arrays:
    """Return q, k and v of one sequence; the same ones in every run."""
    generator = torch.Generator().manual_seed(length)

    def draw(heads: int, rows: int) -> Tensor:
        return torch.randn(1, heads, rows, DIM, generator=generator)

    return (
        draw(HEADS, queries or length),
        draw(groups, length),
        draw(groups, length),
    )


def _dense(length: int) -> Iterator[Case]:
    arrays = _arrays(length)
    upstream = _arrays(length + 1, queries=length)[0]
    for name, ours, theirs in (
        ("full", tiled.attention, sdpa),
        (
            "causal",
            tiled.causal_attention,
            functools.partial(sdpa, is_causal=True),
        ),
    ):
        yield Case(
            f"forward, {name}",
            length,
            1.3 if length <= SHORT else 1.15,
            functools.partial(ours, *arrays),
            functools.partial(theirs, *arrays),
        )
        if length > SHORT:
            yield Case(
                f"backward, {name}",
                length,
                1.05,
                _backward(ours, arrays, upstream),
                _backward(theirs, arrays, upstream),
            )


def _backward(function: Attention, arrays: Arrays, upstream: Tensor) -> Work:
    """Return a call of the backward pass alone."""
    inputs = [each.clone().requires_grad_() for each in arrays]
    output = function(*inputs)
    return lambda: torch.autograd.grad(
        output, inputs, upstream, retain_graph=True
    )


def _window(length: int) -> Case:
    arrays = _arrays(length)
    mask = causal_mask(length, length).triu_(1 - WINDOW)
    return Case(
        f"window of {WINDOW}",
        length,
        0.15 if length >= LONG else None,
        functools.partial(tiled.window_attention, *arrays, window=WINDOW),
        functools.partial(sdpa, *arrays, attn_mask=mask),
    )


def _decode(length: int) -> Case:
    """Return one new token of 8 query heads over a cache of 2 key heads."""
    q, k, v = _arrays(length, queries=1, groups=GROUPS)

    def repeated() -> Tensor:
        every = HEADS // GROUPS
        many = (each.repeat_interleave(every, dim=1) for each in (k, v))
        return sdpa(q, *many)

    return Case(
        "grouped decode",
        length,
        0.25 if length >= LONG else None,
        functools.partial(tiled.grouped_attention, q, k, v),
        repeated,
        beside=functools.partial(sdpa, q, k, v, enable_gqa=True),
        beside_name="sdpa with enable_gqa",
    )
