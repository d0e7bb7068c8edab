"""From Luong's torch modules to what the reference takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from attncourse.fast import luong as layers
from attncourse.fast.recurrent_convert import array, cell_weights
from attncourse.reference import luong as reference
from attncourse.reference import luong_decoder, luong_local
from attncourse.shapes import boolean, real


def to_reference(decoder: layers.LuongDecoder) -> luong_decoder.LuongWeights:
    """Return the decoder's numbers, those of its attention left out.

    Source: as in `reference.luong_decoder.input_feeding_decoder`.

    Examples
    --------
    >>> attend = layers.GlobalAttention(layers.DotScore())
    >>> to_reference(
    ...     layers.LuongDecoder(11, 5, 3, memory_width=3, attention=attend)
    ... ).w_attentional.shape
    (6, 3)
    """
    if not isinstance(decoder, layers.LuongDecoder):
        raise TypeError(
            f"the decoder must be a LuongDecoder: got {type(decoder).__name__}"
        )
    return luong_decoder.LuongWeights(
        array(decoder.embedding.weight),
        cell_weights(decoder.cell),
        array(decoder.join.weight.T),
        array(decoder.output.weight.T),
    )


def reference_attention(
    attention: nn.Module, memory: Any, *, mask: Any = None
) -> Callable[[Any, Any], reference.Reading]:
    """Return an attention as the function that the reference's decoder asks.

    Parameters
    ----------
    attention : one of the three modules, with one of the three scores.
    memory : annotations, shape (..., keys, memory_width).
    mask : True at real source tokens, shape (..., keys); None for all.

    Source: as in `reference.luong_decoder.input_feeding_step`.

    Examples
    --------
    >>> attend = reference_attention(
    ...     layers.GlobalAttention(layers.DotScore()), np.eye(2)
    ... )
    >>> attend(np.zeros((1, 2)), np.zeros(1)).context.tolist()
    [[0.5, 0.5]]
    """
    kinds = layers.GlobalAttention, layers.MonotonicAttention
    if not isinstance(attention, kinds):
        raise TypeError(
            "the attention must be one of Luong's three: "
            f"got {type(attention).__name__}"
        )
    keys = real("memory", memory, "keys memory_width").shape[-2]
    rows, lengths = None, np.array(keys)
    if mask is not None:
        mask = boolean("mask", mask, "keys")
        rows, lengths = mask[..., None, :], np.sum(mask, axis=-1)

    def attend(q: Any, positions: Any) -> reference.Reading:
        scores = _scores(attention.score, q, memory)
        if isinstance(attention, layers.PredictiveAttention):
            w = array(attention.map.weight.T)
            v = array(attention.place.weight[0])
            return luong_local.predictive_attention(
                scores,
                memory,
                luong_local.predicted_positions(q, w, v, lengths=lengths),
                half_width=attention.half_width,
                mask=rows,
            )
        if isinstance(attention, layers.MonotonicAttention):
            return luong_local.monotonic_attention(
                scores,
                memory,
                positions,
                half_width=attention.half_width,
                mask=rows,
            )
        return reference.global_attention(scores, memory, mask=rows)

    return attend


def _scores(score: Any, q: Any, memory: Any) -> np.ndarray:
    """Return the reference's scores under a module's numbers."""
    if isinstance(score, layers.DotScore):
        return reference.dot_scores(q, memory)
    if isinstance(score, layers.GeneralScore):
        return reference.bilinear_scores(q, memory, array(score.map.weight.T))
    if isinstance(score, layers.ConcatScore):
        w, v = array(score.map.weight.T), array(score.score.weight[0])
        return reference.concat_scores(q, memory, w, v)
    raise TypeError(
        f"the score must be one of Luong's three: got {type(score).__name__}"
    )
