"""The cost model: operations, bytes and time, from sizes alone.

`cost_parts` states what is counted; `cost_attention`, `cost_tiles` and
`cost_linear` count attention, `cost_layers` whole layers, `cost_cache`
decoding. Here a cost meets a device: the roofline says how long it takes
at least, and whether arithmetic or memory is what it waits for.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import NamedTuple

from attncourse.reference.cost_attention import (
    attention_flops,
    band_pairs,
    block_pairs,
    causal_pairs,
    naive_attention_cost,
    tiled_training_flops,
    window_pairs,
)
from attncourse.reference.cost_cache import (
    cache_bytes,
    cached_tokens,
    decode_cost,
    prefill_cost,
)
from attncourse.reference.cost_layers import (
    attention_layer_flops,
    decoder_layer_flops,
    encoder_layer_cost,
    encoder_layer_flops,
    feed_forward_flops,
    language_model_flops,
    layer_weight_count,
    training_flops,
    training_state_bytes,
)
from attncourse.reference.cost_linear import (
    chunked_linear_attention_flops,
    layer_norm_operations,
    linear_attention_flops,
    softmax_operations,
)
from attncourse.reference.cost_parts import (
    AttentionSizes,
    Cost,
    LayerSizes,
    product_cost,
    total_cost,
)
from attncourse.reference.cost_tiles import (
    flash_attention_cost,
    flash_tiles,
    naive_saved_bytes,
    strip_attention_cost,
    strip_pairs,
    tiled_saved_bytes,
)
from attncourse.reference.heads_counts import (
    cache_count,
    flop_count,
    parameter_count,
    score_count,
)

__all__ = [
    "AttentionSizes",
    "Cost",
    "Device",
    "LayerSizes",
    "Roofline",
    "attention_flops",
    "attention_layer_flops",
    "band_pairs",
    "block_pairs",
    "cache_bytes",
    "cache_count",
    "cached_tokens",
    "causal_pairs",
    "chunked_linear_attention_flops",
    "decode_cost",
    "decoder_layer_flops",
    "encoder_layer_cost",
    "encoder_layer_flops",
    "feed_forward_flops",
    "flash_attention_cost",
    "flash_tiles",
    "flop_count",
    "intensity",
    "language_model_flops",
    "layer_norm_operations",
    "layer_weight_count",
    "linear_attention_flops",
    "naive_attention_cost",
    "naive_saved_bytes",
    "parameter_count",
    "prefill_cost",
    "product_cost",
    "ridge_point",
    "roofline",
    "score_count",
    "softmax_operations",
    "strip_attention_cost",
    "strip_pairs",
    "tiled_saved_bytes",
    "tiled_training_flops",
    "total_cost",
    "training_flops",
    "training_state_bytes",
    "window_pairs",
]


@dataclass(frozen=True)
class Device:
    """What a processor reaches at best.

    Parameters
    ----------
    flops_per_second : of its matrix products, in the type that is used.
    bytes_per_second : to and from its large memory.
    """

    flops_per_second: float
    bytes_per_second: float

    def __post_init__(self) -> None:
        for name in ("flops_per_second", "bytes_per_second"):
            rate = getattr(self, name)
            if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
                raise TypeError(f"{name} must be a real number: got {rate!r}")
            if not 0 < float(rate) < math.inf:
                raise ValueError(
                    f"{name} must be above 0 and finite: got {rate}"
                )


class Roofline(NamedTuple):
    """How long a computation takes at least, and why.

    `seconds` is that time, `bound` is "compute" or "memory", whichever
    takes longer, and `flops_per_second` is what can be reached.
    """

    seconds: float
    bound: str
    flops_per_second: float


def intensity(cost: Cost) -> float:
    r"""Return the arithmetic intensity: FLOPs for each byte moved.

    .. math:: I = F / B

    Source: Williams et al. (2009), "Roofline", who call it operational
    intensity.

    Examples
    --------
    >>> intensity(Cost(flops=30, moved_bytes=10))
    3.0
    """
    if not cost.moved_bytes:
        raise ValueError("moved_bytes must be at least 1: got 0")
    return cost.flops / cost.moved_bytes


def ridge_point(device: Device) -> float:
    r"""Return the intensity from which on a device can reach its peak.

    .. math:: I_{ridge} = \pi / \beta

    with pi the peak FLOPs and beta the peak bytes of a second.

    Source: Williams et al. (2009), "Roofline", on the ridge point.

    Examples
    --------
    >>> ridge_point(Device(flops_per_second=12e12, bytes_per_second=3e12))
    4.0
    """
    return device.flops_per_second / device.bytes_per_second


def roofline(cost: Cost, device: Device) -> Roofline:
    r"""Return the least time of a computation, and what it waits for.

    .. math:: t = \max(F / \pi,\ B / \beta), \qquad
              F / t = \min(\pi,\ \beta I)

    Arithmetic and memory are taken to work at the same time. Left of the
    ridge point a computation waits for memory; at the ridge, for neither,
    which counts as compute.

    Source: Williams et al. (2009), "Roofline", on the model.

    Examples
    --------
    >>> device = Device(flops_per_second=100, bytes_per_second=10)
    >>> roofline(Cost(flops=300, moved_bytes=60), device)
    Roofline(seconds=6.0, bound='memory', flops_per_second=50.0)
    """
    compute = cost.flops / device.flops_per_second
    memory = cost.moved_bytes / device.bytes_per_second
    seconds = max(compute, memory)
    if not seconds:
        raise ValueError("a cost must hold a FLOP or a byte: got none")
    bound = "compute" if compute >= memory else "memory"
    return Roofline(seconds, bound, cost.flops / seconds)
