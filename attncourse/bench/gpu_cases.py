"""What the GPU benchmark times: cases, ours and torch's, and whether right."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attncourse.checking.numerics import within_ideal

POSITIONS, COLUMNS, GROUPS, WINDOW = 16384, 2048, 4, 1024
ROWS_CHECKED = 512
# Of the size of a gradient; two kernels round it apart from each other.
GRADIENT_ERROR = 0.02
Work = Callable[[], object]
Arrays = Sequence[Tensor]  # q, k and v


@dataclass(frozen=True)
class Case:
    """One thing to time; `target` in TFLOP/s, None without a goal."""

    length: int
    width: int
    causal: bool = False
    backward: bool = False
    groups: int = 0  # as many as heads, if zero
    window: int = 0  # none, if zero

    @property
    def heads(self) -> int:
        """Return the number of query heads."""
        return COLUMNS // self.width

    @property
    def batch(self) -> int:
        """Return the number of sequences."""
        return max(1, POSITIONS // self.length)

    @property
    def name(self) -> str:
        """Return what distinguishes the case, in words."""
        words = [
            "both passes" if self.backward else "forward",
            "causal" if self.causal else "full",
        ]
        words += [f"{self.groups} groups"] * bool(self.groups)
        words += [f"window {self.window}"] * bool(self.window)
        return ", ".join(words)

    @property
    def target(self) -> float | None:
        """Return the goal; it was set for the longest, full ones."""
        if self.length < 16384 or self.window or self.groups or self.causal:
            return None
        return 330.0 if self.backward else {64: 400.0, 128: 500.0}[self.width]

    @property
    def flops(self) -> float:
        """Return the operations that count; `gpu.METHOD` says which.

        Examples
        --------
        >>> Case(16384, 128).flops == 4 * 16384**2 * 2048
        True
        """
        pairs = self.length**2 / (2 if self.causal else 1)
        if self.window:
            hidden = max(0, self.length - self.window)
            short = min(self.window, self.length)
            pairs = hidden * self.window + short * (short + 1) / 2
        passes = 3.5 if self.backward else 1.0
        return 4 * pairs * self.width * self.heads * self.batch * passes


def cases(lengths: Sequence[int]) -> Iterator[Case]:
    """Yield the cases for sequences of the given lengths."""
    for length in lengths:
        for width in (64, 128):
            for causal in (False, True):
                for backward in (False, True):
                    yield Case(length, width, causal, backward)
    longest = max(lengths)
    for backward in (False, True):
        yield Case(longest, 128, True, backward, groups=GROUPS)
        yield Case(longest, 128, True, backward, window=WINDOW)


def draw(case: Case) -> Arrays:
    """Return q, k and v of a case; the same ones in every run."""
    generator = torch.Generator("cuda").manual_seed(case.length)

    def normal(heads: int) -> Tensor:
        shape = (case.batch, heads, case.length, case.width)
        drawn = torch.randn(shape, generator=generator, device="cuda")
        return drawn.bfloat16()

    few = case.groups or case.heads
    return normal(case.heads), normal(few), normal(few)


def ours(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return our attention; groups share their keys without a copy."""
    from attncourse.fast import kernels

    function: Callable[..., Tensor] = kernels.attention
    if case.window:
        function = functools.partial(
            kernels.window_attention, window=case.window
        )
    elif case.causal:
        function = kernels.causal_attention
    if not case.groups:
        return function(q, k, v)
    parted = q.unflatten(1, (case.groups, -1))
    return function(parted, k[:, :, None], v[:, :, None]).flatten(1, 2)


def ways(case: Case, arrays: Arrays) -> dict[str, Work]:
    """Return ours and torch's; those know no window and see all keys."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    theirs = functools.partial(
        torch.nn.functional.scaled_dot_product_attention,
        is_causal=case.causal,
        enable_gqa=bool(case.groups),
    )
    functions = {
        "ours": (functools.partial(ours, case), contextlib.nullcontext),
        "flash": (
            theirs,
            functools.partial(sdpa_kernel, SDPBackend.FLASH_ATTENTION),
        ),
        "cudnn": (
            theirs,
            functools.partial(sdpa_kernel, SDPBackend.CUDNN_ATTENTION),
        ),
    }
    return {
        name: functools.partial(call, case, function, context, arrays)
        for name, (function, context) in functions.items()
    }


def call(case: Case, function, context, arrays: Arrays):
    """Return the output, or the gradients if both passes are timed."""
    with context():
        if not case.backward:
            with torch.no_grad():
                return function(*arrays)
        inputs = [each.detach().requires_grad_() for each in arrays]
        output = function(*inputs)
        # The queries will do as the gradient of the output.
        return torch.autograd.grad(output, inputs, arrays[0])


def right(case: Case, arrays: Arrays) -> bool:
    """Tell whether ours is as exact as its type allows.

    The last rows of the last head are compared with float64; gradients
    with those of torch's plain operator in single precision, of one
    sequence that is short enough for it.
    """
    q, k, v = (each[-1, -1].double() for each in arrays)
    with torch.no_grad():
        answer = ours(case, *arrays)[-1, -1, -ROWS_CHECKED:].double()
    rows = min(ROWS_CHECKED, case.length)
    scores = q[-rows:] @ k.T * case.width**-0.5
    place = torch.arange(case.length, device=q.device)
    back = place[-rows:, None] - place
    if case.causal:
        scores.masked_fill_(back < 0, -torch.inf)
    if case.window:
        scores.masked_fill_(back >= case.window, -torch.inf)
    weights = torch.softmax(scores, dim=-1)
    ideal = (weights.bfloat16().double() @ v).bfloat16().double()
    compared = (each.cpu().numpy() for each in (answer, weights @ v, ideal))
    return within_ideal(*compared) and (
        not case.backward or gradients_right(case, arrays)
    )


def gradients_right(case: Case, arrays: Arrays) -> bool:
    """Tell whether gradients of the first 2,048 positions are close."""
    length = min(2048, case.length)
    part = tuple(each[:1, :, :length] for each in arrays)
    place = torch.arange(length, device=part[0].device)
    back = place[:, None] - place
    mask = back >= (0 if case.causal else -length)
    if case.window:
        mask &= back < case.window

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, enable_gqa=bool(case.groups)
        )

    none = contextlib.nullcontext
    backward = Case(
        case.length, case.width, case.causal, True, case.groups, case.window
    )
    mine = call(backward, functools.partial(ours, case), none, part)
    wide = tuple(each.float() for each in part)
    theirs = call(backward, plain, none, wide)
    return all(
        bool((one - other).norm() <= GRADIENT_ERROR * other.norm())
        for one, other in zip(mine, theirs, strict=True)
    )
