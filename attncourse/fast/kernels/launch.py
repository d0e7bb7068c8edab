"""From tensors to kernels: arguments, tiles, descriptors, autograd."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from triton.tools.tensor_descriptor import TensorDescriptor

from attncourse.fast.kernels import backward, forward
from attncourse.fast.kernels.config import (
    Config,
    forward_config,
    heads_together,
    key_gradient_config,
    padded,
    query_gradient_config,
)

LOG2_E = math.log2(math.e)
# A search for the best tiles puts here what it tries, by kernel.
chosen: dict[str, Config] = {}


class Visible(NamedTuple):
    """Which keys a query may see: none later, none further than `behind`."""

    causal: bool
    behind: int | None = None


class _Flash(torch.autograd.Function):
    """Both passes over four axes: batch, heads, rows, width."""

    @staticmethod
    def forward(ctx, q, k, v, scale, visible):
        output = q.new_empty(*q.shape[:3], v.shape[3])
        lse = q.new_empty(q.shape[:3], dtype=torch.float32)
        if not k.numel():
            output.zero_()
        elif output.numel():
            q, k, v = map(fit, (q, k, v))
            with on_device(q):
                run_forward(q, k, v, output, lse, scale, visible)
        ctx.save_for_backward(q, k, v, output, lse)
        ctx.scale, ctx.visible = scale, visible
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        q, k, v, output, lse = ctx.saved_tensors
        some = output.numel() and k.numel()
        new = torch.empty if some else torch.zeros
        of_q, of_k, of_v, *_ = ctx.needs_input_grad
        pair = of_k or of_v  # one kernel finds both
        gradients = [
            new(x.shape, dtype=x.dtype, device=x.device) if wanted else None
            for x, wanted in ((q, of_q), (k, pair), (v, pair))
        ]
        if some:
            with on_device(q):
                run_backward(
                    (q, k, v, output, fit(upstream)),
                    lse, gradients, ctx.scale, ctx.visible,
                )  # fmt: skip
        return *gradients, None, None


def attend(q, k, v, visible: Visible) -> Tensor:
    """Return attention over four axes; any width up to the widest."""
    widths = q.shape[3], v.shape[3]
    scale = widths[0] ** -0.5
    padded(max(widths))
    q, k, v = map(whole_steps, (q, k, v))
    return _Flash.apply(q, k, v, scale, visible)[..., : widths[1]]


def whole_steps(x: Tensor) -> Tensor:
    """Return `x`, with zeros behind rows of no multiple of 16 bytes.

    The copy engine takes no others.
    """
    short = -x.shape[3] % (16 // x.element_size())
    # Padding by nothing would copy, too.
    return torch.nn.functional.pad(x, (0, short)) if short else x


def fit(x: Tensor) -> Tensor:
    """Return `x`, copied if the copy engine could not read it in place."""
    size = x.element_size()
    steps = zip(x.shape[:3], x.stride()[:3], strict=True)
    if (
        x.stride(3) == 1
        and x.data_ptr() % 16 == 0
        and all(n == 1 or (s > 0 and s * size % 16 == 0) for n, s in steps)
    ):
        return x
    return x.clone(memory_format=torch.contiguous_format)


def block(x: Tensor, rows: int, width: int) -> TensorDescriptor:
    """Return what the copy engine must know of `x`, read in such tiles."""
    # An axis of one has a step that nothing uses; let it be a legal one.
    steps = list(x.stride())
    for axis in (2, 1, 0):
        if x.shape[axis] == 1:
            steps[axis] = x.shape[axis + 1] * steps[axis + 1]
            steps[axis] += -steps[axis] % (16 // x.element_size())
    return TensorDescriptor(x, list(x.shape), steps, [1, 1, rows, width])


def interpreted() -> bool:
    """Tell if Triton's interpreter runs the kernels."""
    return not isinstance(forward.attend, triton.JITFunction)


def on_device(x: Tensor):
    """Return a context in which `x`'s GPU is the current one."""
    return torch.cuda.device(x.device if x.is_cuda else -1)


def capability(x: Tensor) -> int:
    """Return 90 for Hopper; the interpreter plays Hopper, too."""
    if not x.is_cuda:
        return 90
    major, minor = torch.cuda.get_device_capability(x.device)
    return 10 * major + minor


def constants(
    config: Config, widths: tuple[int, int], visible: Visible
) -> dict:
    """Return what a kernel is compiled for."""
    return {
        "ROWS": config.rows,
        "COLUMNS": config.columns,
        "DIM": widths[0],
        "VALUE_DIM": widths[1],
        "CAUSAL": visible.causal,
        "WINDOW": visible.behind is not None,
        # Single precision is multiplied as it is, not rounded to TF32.
        "PRECISION": "ieee",
        "num_warps": config.warps,
        "num_stages": config.stages,
    }


def run_forward(q, k, v, output, lse, scale, visible) -> None:
    """Fill in `output` and `lse`."""
    batch, heads, queries, dim = q.shape
    groups, keys, value_dim = k.shape[1], k.shape[2], v.shape[3]
    width, value_width = padded(dim), padded(value_dim)
    size = q.element_size()
    config = chosen.get("forward") or forward_config(
        max(width, value_width),
        item_bytes=size,
        windowed=visible.behind is not None,
        capability=capability(q),
    )
    tiles = -(-queries // config.rows)
    together = heads_together(keys, dim + value_dim, size) * (heads // groups)
    forward.attend[(tiles * batch * heads,)](
        block(q, config.rows, width),
        block(k, config.columns, width),
        block(v, config.columns, value_width),
        block(output, config.rows, value_width),
        lse,
        scale * LOG2_E,
        heads,
        heads // groups,
        queries,
        keys,
        visible.behind or 0,
        min(together, batch * heads),
        tiles,
        SPECIALIZE=config.specialize,
        **constants(config, (width, value_width), visible),
    )


def run_backward(arrays, lse, gradients, scale, visible) -> None:
    """Fill in the gradients of queries, keys and values that are wanted.

    Keys and values are worked on together: both are, or neither.
    """
    q, k, v, output, upstream = arrays
    batch, heads, queries, dim = q.shape
    width, value_width = padded(dim), padded(v.shape[3])
    inner, logs = torch.empty_like(lse), lse
    clean_q, clean_upstream = q, upstream
    if visible.causal:
        logs = torch.empty_like(lse)
        clean_q, clean_upstream = (
            torch.empty(x.shape, dtype=x.dtype, device=x.device)
            for x in (q, upstream)
        )
    narrow = q.element_size() < 4 and max(width, value_width) <= 128
    rows = 64 if narrow else 32
    tiles = -(-queries // rows)
    backward.inner_products[(tiles * batch * heads,)](
        block(q, rows, width),
        block(output, rows, value_width),
        block(upstream, rows, value_width),
        block(clean_q, rows, width),
        block(clean_upstream, rows, value_width),
        lse,
        logs,
        inner,
        heads,
        queries,
        tiles,
        ROWS=rows,
        DIM=width,
        VALUE_DIM=value_width,
        CAUSAL=visible.causal,
        num_warps=4,
    )
    arrays = clean_q, q, k, v, clean_upstream, upstream
    if gradients[0] is not None:
        fill_queries(arrays, logs, inner, gradients[0], scale, visible)
    if gradients[1] is not None:
        fill_keys(arrays, logs, inner, gradients[1:], scale, visible)


def fill_queries(arrays, logs, inner, dq, scale, visible) -> None:
    """Fill in the gradient of the queries."""
    _, q, k, v, _, upstream = arrays
    batch, heads, queries, dim = q.shape
    groups, keys, value_dim = k.shape[1], k.shape[2], v.shape[3]
    width, value_width = padded(dim), padded(value_dim)
    size = q.element_size()
    config = chosen.get("query_gradients") or query_gradient_config(
        max(width, value_width), item_bytes=size, capability=capability(q)
    )
    tiles = -(-queries // config.rows)
    together = heads_together(keys, dim + value_dim, size) * (heads // groups)
    backward.query_gradients[(tiles * batch * heads,)](
        block(q, config.rows, width),
        block(k, config.columns, width),
        block(v, config.columns, value_width),
        block(upstream, config.rows, value_width),
        block(dq, config.rows, width),
        logs,
        inner,
        scale * LOG2_E,
        scale,
        heads,
        heads // groups,
        queries,
        keys,
        visible.behind or 0,
        min(together, batch * heads),
        tiles,
        **constants(config, (width, value_width), visible),
    )


def fill_keys(arrays, logs, inner, gradients, scale, visible) -> None:
    """Fill in the gradients of keys and values."""
    q, _, k, v, upstream, _ = arrays
    dk, dv = gradients
    batch, heads, queries, dim = q.shape
    groups, keys, value_dim = k.shape[1], k.shape[2], v.shape[3]
    width, value_width = padded(dim), padded(value_dim)
    size = q.element_size()
    config = chosen.get("key_gradients") or key_gradient_config(
        max(width, value_width),
        item_bytes=size,
        causal=visible.causal,
        capability=capability(q),
    )
    tiles = -(-keys // config.columns)
    together = heads_together(queries * heads // groups, dim + value_dim, size)
    backward.key_gradients[(tiles * batch * groups,)](
        block(q, config.rows, width),
        block(k, config.columns, width),
        block(v, config.columns, value_width),
        block(upstream, config.rows, value_width),
        block(dk, config.columns, width),
        block(dv, config.columns, value_width),
        logs,
        inner,
        scale * LOG2_E,
        scale,
        groups,
        heads // groups,
        queries,
        keys,
        visible.behind or 0,
        min(together, batch * groups),
        tiles,
        **constants(config, (width, value_width), visible),
    )
