"""What the chunked forms of linear attention stand on, in torch.

All arrays are flattened to (heads, steps, ...) and then cut into
(heads, chunks, steps of a chunk, ...).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast import precision
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import OUTPUT, require_broadcast, require_equal

# The rest is for the siblings of this module.
__all__ = ["Fading", "fading"]

Features = Float[Tensor, "*#batch steps dim"]
Values = Float[Tensor, "*#batch steps value_dim"]
Memory = Float[Tensor, "*#batch dim value_dim"]
LogDecay = Float[Tensor, "*#batch #steps #dim"]
Sums = Float[Tensor, OUTPUT]
Rows = Float[Tensor, "heads steps columns"]
Cut = Float[Tensor, "heads chunks steps columns"]


class Fading(NamedTuple):
    """Products within each chunk, faded, and what fades at its two ends.

    `products` (heads, chunks, steps, steps) is zero after the diagonal;
    the others, (heads, chunks, steps or 1, dim or 1), are logarithms:
    `since` the start up to each step, `until` the end after each step,
    `total` of all steps.
    """

    products: Cut
    since: Cut
    until: Cut
    total: Cut


def checked_steps(q: Any, k: Any, v: Any) -> tuple[int, ...]:
    """Require tensors that fit, and return their leading axes together.

    Examples
    --------
    >>> checked_steps(*torch.zeros(3, 7, 5, 2))
    (7,)
    """
    named = {"q": q, "k": k, "v": v}
    for name, axes in zip(named, ("dim", "dim", "value_dim"), strict=True):
        require_real(name, named[name], f"steps {axes}")
        if (named[name].dtype, named[name].device) != (q.dtype, q.device):
            raise TypeError(
                f"q and {name} must agree in dtype and device: got "
                f"{q.dtype} on {q.device}, "
                f"{named[name].dtype} on {named[name].device}"
            )
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    return require_broadcast(
        **{name: tuple(x.shape[:-2]) for name, x in named.items()}
    )


def widened(*tensors: Tensor) -> list[Tensor]:
    """Return the tensors in single precision at least: sums need it.

    Examples
    --------
    >>> widened(torch.zeros(2, dtype=torch.float16))[0].dtype
    torch.float32
    """
    return [precision.widened(each) for each in tensors]


def checked_log_decay(log_decay: LogDecay, k: Features) -> LogDecay:
    """Return the logarithms of the gates, one a step, as wide as the keys.

    That none is above zero is checked on the CPU only: a check on a GPU
    would wait for it.

    Examples
    --------
    >>> checked_log_decay(-torch.ones(1, 1), torch.zeros(3, 2)).shape
    torch.Size([3, 1])
    """
    require_real("log_decay", log_decay, "steps dim")
    shape = tuple(log_decay.shape)
    for have, want in zip(shape[-2:], k.shape[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                "log_decay must have axes (..., steps or 1, dim or 1) with "
                f"steps={k.shape[-2]}, dim={k.shape[-1]}: got {shape}"
            )
    if log_decay.device.type == "cpu" and bool((log_decay > 0).any()):
        raise ValueError(
            "log_decay must be at most 0: "
            f"got {log_decay[log_decay > 0][0].item()}"
        )
    wide = torch.promote_types(k.dtype, torch.float32)
    return log_decay.to(wide).expand(*shape[:-2], k.shape[-2], shape[-1])


def checked_memory(
    memory: Memory | None,
    leading: dict[str, tuple[int, ...]],
    k: Features,
    v: Values,
) -> Memory:
    """Return the memory to begin with, zeros for None, in single precision.

    Examples
    --------
    >>> checked_memory(None, {}, torch.zeros(7, 5), torch.zeros(7, 2)).shape
    torch.Size([5, 2])
    """
    shape = (k.shape[-1], v.shape[-1])
    wide = torch.promote_types(k.dtype, torch.float32)
    if memory is None:
        return v.new_zeros(*require_broadcast(**leading), *shape, dtype=wide)
    require_real("memory", memory, "dim value_dim")
    if tuple(memory.shape[-2:]) != shape:
        raise ValueError(
            "memory must have axes (..., dim, value_dim) = "
            f"(..., {shape[0]}, {shape[1]}): got {tuple(memory.shape)}"
        )
    together = require_broadcast(**leading, memory=tuple(memory.shape[:-2]))
    return memory.to(wide).expand(*together, *shape)


def flat(leading: tuple[int, ...], *tensors: Tensor) -> list[Tensor]:
    """Return the tensors with one axis in the place of the leading ones.

    Examples
    --------
    >>> flat((2, 3), torch.zeros(3, 7, 5))[0].shape
    torch.Size([6, 7, 5])
    """
    number = math.prod(leading)
    return [
        x.expand(*leading, *x.shape[-2:]).reshape(number, *x.shape[-2:])
        for x in tensors
    ]


def to_chunks(x: Rows, chunk: int) -> Cut:
    """Return the steps in chunks; zeros fill each up to a power of two.

    A step of zeros reads and writes nothing, and lets nothing fade.

    Examples
    --------
    >>> to_chunks(torch.ones(1, 4, 1), 3)[0, ..., 0].tolist()
    [[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
    """
    pad = torch.nn.functional.pad
    chunk = min(chunk, x.shape[1])
    x = pad(x, (0, 0, 0, -x.shape[1] % chunk))
    x = x.unflatten(1, (-1, chunk))
    return pad(x, (0, 0, 0, (1 << (chunk - 1).bit_length()) - chunk))


def from_chunks(x: Cut, chunk: int, steps: int) -> Rows:
    """Return the steps one after another again; undoes `to_chunks`.

    Examples
    --------
    >>> x = torch.arange(4.0).reshape(1, 4, 1)
    >>> from_chunks(to_chunks(x, 3), 3, 4).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    return x[:, :, : min(chunk, steps)].flatten(1, 2)[:, :steps]


def fading(q: Cut, k: Cut, g: Cut) -> Fading:
    r"""Return the faded products of queries and earlier keys of each chunk.

    .. math:: A_{tj} = \sum_c q_{tc} \, k_{jc}
              \exp\Big(\sum_{i=j+1}^{t} g_{ic}\Big)

    Neighbouring blocks of one step, two, four, ... are joined. Queries of
    the second meet keys of the first across the boundary, and each fades
    on its own side of it: both exponents are sums of numbers at most
    zero, so nothing overflows, no sum is subtracted from another, and no
    array of steps x steps x dim is formed.

    Source: after Yang et al. (2024), "Gated Linear Attention Transformers
    with Hardware-Efficient Training", section 4.3 (secondary chunking).

    Examples
    --------
    >>> one = torch.ones(1, 1, 2, 1)
    >>> fading(one, one, -math.log(2) * one).products[0, 0].tolist()
    [[1.0, 0.0], [0.5, 1.0]]
    """
    if g.shape[-1] == 1 < q.shape[-1]:  # one matrix serves all channels
        one = torch.ones_like(g)
        left = fading(one, one, g)
        return left._replace(products=q @ k.mT * left.products)
    products = (q * k).sum(dim=-1)[..., None, None]
    # Blocks of one step: (heads, chunks, blocks, steps of a block, dim).
    q, k, since = (x.unsqueeze(-2) for x in (q, k, g))
    until, total = torch.zeros_like(since), since
    while q.shape[2] > 1:
        (q1, q2), (k1, k2) = _pairs(q), _pairs(k)
        (since1, since2), (until1, until2) = _pairs(since), _pairs(until)
        (total1, total2), (a1, a2) = _pairs(total), _pairs(products)
        across = (q2 * since2.exp()) @ (k1 * until1.exp()).mT
        above = torch.cat([a1, torch.zeros_like(across)], dim=-1)
        products = torch.cat([above, torch.cat([across, a2], dim=-1)], dim=-2)
        q, k = torch.cat([q1, q2], dim=-2), torch.cat([k1, k2], dim=-2)
        since = torch.cat([since1, total1 + since2], dim=-2)
        until = torch.cat([until1 + total2, until2], dim=-2)
        total = total1 + total2
    return Fading(*(x.squeeze(2) for x in (products, since, until, total)))


def _pairs(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the blocks at even and at odd places."""
    return x[:, :, ::2], x[:, :, 1::2]


class Poison(NamedTuple):
    """What NaN and inf spoil: outputs, and the memory at the end."""

    output: Bool[Tensor, "heads steps columns"]
    memory: Bool[Tensor, "heads 1 columns"]


def without_poison(
    *arrays: Rows,
) -> tuple[tuple[Rows, ...], Poison | None]:
    """Return the arrays without NaN and inf, and what those spoil, if any.

    `arrays` are queries, keys, values and the gates, which may be minus
    infinity. Zero times NaN is NaN, so a product that is zero would not
    keep the future out. What is spoiled once stays so.

    Examples
    --------
    >>> x = torch.tensor([[[1.0], [torch.nan], [1.0]]])
    >>> without_poison(x, torch.ones(1, 3, 1), x)[1].output.flatten().tolist()
    [False, True, True]
    """
    q, k, v, *gates = arrays
    sums = [x.sum() for x in (q, k, v)] + [x.exp().sum() for x in gates]
    if bool(torch.isfinite(torch.stack(sums)).all()):
        return arrays, None
    bad_q = ~torch.isfinite(q).all(dim=-1, keepdim=True)
    bad_k = ~torch.isfinite(k).all(dim=-1, keepdim=True)
    bad_v = ~torch.isfinite(v)
    bad_gates = [gate.isnan() | gate.isposinf() for gate in gates]
    written = bad_k | bad_v
    for bad in bad_gates:
        written = written | bad.any(dim=-1, keepdim=True)
    met = written.cumsum(dim=1) > 0
    bads = (bad_q, bad_k, bad_v, *bad_gates)
    clean = (x.masked_fill(b, 0.0) for x, b in zip(arrays, bads, strict=True))
    return tuple(clean), Poison(met | bad_q, written.any(1, keepdim=True))


def by_heads(
    work: Callable[[tuple[Rows, ...], Rows], tuple[Rows, Rows]],
    leading: tuple[int, ...],
    arrays: Sequence[Tensor],
    memory: Memory,
) -> tuple[Sums, Memory]:
    """Return what `work` answers: outputs, and the memory at the end.

    `work` gets queries, keys, values, gates and memory with one axis for
    the leading ones, and no NaN or inf; what those spoil becomes NaN.
    """
    (memory,) = flat(leading, memory)
    arrays, spoiled = without_poison(*flat(leading, *arrays))
    output, memory = work(arrays, memory)
    if spoiled is not None:
        hidden = spoiled.output[..., : output.shape[-1]]
        output = output.masked_fill(hidden, math.nan)
        memory = memory.masked_fill(spoiled.memory, math.nan)
    return (
        output.reshape(*leading, *output.shape[1:]),
        memory.reshape(*leading, *memory.shape[1:]),
    )
