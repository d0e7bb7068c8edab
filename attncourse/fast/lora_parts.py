"""Layers in the place of others, by name; what is trained, and how much."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable
from numbers import Real

from torch import nn

from attncourse.shapes import count

# The rest has no underscore for the modules next to this one.
__all__ = ["replace_layers", "trained_count"]


class Update(nn.Module):
    """A frozen layer, `base`, and trained numbers of its own."""

    base: nn.Module


def replace_layers(
    model: nn.Module,
    patterns: tuple[str, ...],
    wrapped: Callable[..., nn.Module],
    *,
    kind: type[nn.Module],
) -> nn.Module:
    """Put `wrapped(layer)` in the place of each layer that a pattern names.

    All other parameters are frozen, but for those of updates that are
    there already; what those wrap is out of reach. A layer that two names
    share is replaced once and stays shared.

    Parameters
    ----------
    patterns : shell patterns of module names.
    wrapped : called with each layer that is replaced.
    kind : what a layer must be to be named.

    Raises
    ------
    ValueError
        If a pattern names no layer of this kind, or one inside of another
        that is replaced; the model is unchanged then.

    Source: bookkeeping of Hu et al. (2022) and Houlsby et al. (2019).

    Examples
    --------
    >>> model = nn.Sequential(nn.ReLU())
    >>> replace_layers(model, ("0",), lambda _: nn.GELU(), kind=nn.ReLU)[0]
    GELU(approximate='none')
    """
    chosen = _named(model, patterns, kind)
    flags = [(x, x.requires_grad) for x in model.parameters()]
    tuned = {id(x) for each in _wrappers(model).values() for x in _own(each)}
    try:
        made = {id(layer): wrapped(layer) for layer in chosen.values()}
    except (TypeError, ValueError):
        for x, flag in flags:  # the first layers may be frozen already
            x.requires_grad_(flag)
        raise
    for x in model.parameters():
        if id(x) not in tuned:
            x.requires_grad_(False)
    for name, layer in chosen.items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, made[id(layer)])
    return model


def _wrappers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the updates and adapters that are there already."""
    modules = model.named_modules(remove_duplicate=False)
    return {name: each for name, each in modules if isinstance(each, Update)}


def _own(layer: nn.Module) -> list[nn.Parameter]:
    return [x for x in layer.parameters() if x.requires_grad]


def _named(
    model: nn.Module, patterns: tuple[str, ...], kind: type[nn.Module]
) -> dict[str, nn.Module]:
    """Return the layers that the patterns name, none inside of another."""
    tuned = tuple(f"{name}." for name in _wrappers(model))
    layers = {
        name: layer
        for name, layer in model.named_modules(remove_duplicate=False)
        if name
        and isinstance(layer, kind)
        and not f"{name}.".startswith(tuned)
    }
    chosen: dict[str, nn.Module] = {}
    for pattern in patterns or ("",):
        found = fnmatch.filter(layers, pattern)
        if not found:
            raise ValueError(
                f"a pattern must name a {kind.__name__} of the model: "
                f"got {pattern!r} among {sorted(layers)}"
            )
        chosen |= {name: layers[name] for name in found}
    for inner in chosen:
        for outer in chosen:
            if inner.startswith(outer + "."):
                raise ValueError(
                    "no replaced layer may hold another: "
                    f"got {outer!r} and {inner!r}"
                )
    return chosen


def trained_count(model: nn.Module) -> int:
    r"""Return how many numbers of a model are trained.

    .. math:: \sum_{\text{updates}} r\,(d + d_{out})

    for a model with low-rank updates; every number of one without.

    Source: Hu et al. (2022), section 5.1.

    Examples
    --------
    >>> trained_count(nn.Sequential(nn.Linear(6, 5), nn.ReLU()))
    35
    """
    return sum(x.numel() for x in model.parameters() if x.requires_grad)


def linear_sizes(base: nn.Linear, rank: int) -> tuple[int, int]:
    """Return the widths of a linear map; refuse a rank beyond them.

    Examples
    --------
    >>> linear_sizes(nn.Linear(6, 5), 2)
    (5, 6)
    """
    if not isinstance(base, nn.Linear):
        raise TypeError(
            f"base must be an nn.Linear: got {type(base).__name__}"
        )
    out_width, width = base.weight.shape
    if count("rank", rank) > min(out_width, width):
        raise ValueError(
            "rank must be at most the smaller width: "
            f"got rank={rank}, width={width}, out_width={out_width}"
        )
    return out_width, width


def number(name: str, value: float, *, below: float = math.inf) -> float:
    """Return one finite number; with `below`, at least 0 and below that."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number: got {value!r}")
    if below < math.inf and not 0 <= value < below:
        raise ValueError(
            f"{name} must be at least 0 and below {below}: got {value}"
        )
    if not math.isfinite(value):
        raise ValueError(f"{name} must be one finite number: got {value}")
    return float(value)
