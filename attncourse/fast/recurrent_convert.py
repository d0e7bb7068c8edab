"""From the torch modules to the numbers that the reference takes.

Detached float64 arrays, copied: who changes them changes no module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attncourse.fast import recurrent as layers
from attncourse.reference import recurrent as reference


def array(value: Tensor) -> np.ndarray:
    """Return a copy of the tensor as NumPy float64, without its graph.

    Source: the course's contract of the reference, which is float64.

    Examples
    --------
    >>> array(torch.ones(2, dtype=torch.bfloat16)).tolist()
    [1.0, 1.0]
    """
    return value.detach().to("cpu", torch.float64, copy=True).numpy()


def cell_weights(cell: nn.GRUCell) -> reference.GRUWeights:
    """Return the numbers of torch's cell; it stacks its gates in one axis.

    Source: as in `reference.recurrent.gru_cell`, whose form torch shares.

    Examples
    --------
    >>> cell_weights(nn.GRUCell(5, 2)).w_input.shape
    (3, 5, 2)
    """
    if not cell.bias:
        raise ValueError(f"the cell must have biases: got {cell}")
    return _gates(cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)


def gru_weights(
    gru: nn.GRU,
) -> tuple[reference.GRUWeights, reference.GRUWeights]:
    """Return the numbers of torch's bidirectional GRU, a direction each.

    Source: as in `reference.recurrent.bidirectional_gru`.

    Examples
    --------
    >>> there, back = gru_weights(nn.GRU(5, 2, bidirectional=True))
    >>> back.w_state.shape
    (3, 2, 2)
    """
    if not gru.bidirectional or gru.num_layers > 1 or not gru.bias:
        raise ValueError(
            "the GRU must be one layer with biases in both directions: "
            f"got {gru}"
        )
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    there, back = (
        _gates(*(getattr(gru, name + end) for name in names))
        for end in ("_l0", "_l0_reverse")
    )
    return there, back


def to_reference(module: nn.Module) -> Any:
    """Return a module's numbers as the NamedTuple that the reference takes.

    Of an `Encoder`, a `BahdanauDecoder`, a `Translator` of the two, or of
    one of their parts.

    Source: as in `reference.recurrent.translate`.

    Examples
    --------
    >>> encoder = layers.Encoder(11, 5, 3, state_width=7)
    >>> reference.encode([4, 6], to_reference(encoder)).memory.shape
    (2, 6)
    """
    if isinstance(module, layers.Translator):
        return reference.TranslatorWeights(
            to_reference(module.encoder), to_reference(module.decoder)
        )
    if isinstance(module, layers.Encoder):
        return reference.EncoderWeights(
            array(module.embedding.weight),
            *gru_weights(module.read.gru),
            array(module.start.weight.T),
        )
    if isinstance(module, layers.BahdanauDecoder):
        return reference.DecoderWeights(
            array(module.embedding.weight),
            to_reference(module.align),
            cell_weights(module.cell),
            to_reference(module.output),
        )
    if isinstance(module, layers.AdditiveAlignment):
        return reference.AlignmentWeights(
            array(module.query.weight.T),
            array(module.key.weight.T),
            array(module.score.weight[0]),
        )
    if isinstance(module, layers.LinearOutput):
        return reference.LinearOutput(
            array(module.map.weight.T), array(module.map.bias)
        )
    if isinstance(module, layers.DeepOutput):
        maps = (module.state, module.embedded, module.context, module.map)
        return reference.DeepOutput(*(array(each.weight.T) for each in maps))
    raise TypeError(
        "the module must be a recurrent one with a reference: "
        f"got {type(module).__name__}"
    )


def _gates(
    w_input: Tensor, w_state: Tensor, b_input: Tensor, b_state: Tensor
) -> reference.GRUWeights:
    """Return the three gates of stacked, transposed matrices."""
    matrices = (
        array(w).reshape(3, -1, w.shape[1]) for w in (w_input, w_state)
    )
    biases = (array(b).reshape(3, -1) for b in (b_input, b_state))
    return reference.GRUWeights(
        *(np.swapaxes(each, 1, 2) for each in matrices), *biases
    )
