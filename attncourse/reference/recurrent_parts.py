"""A gated recurrent unit, run along a sequence in one direction or in both.

Recurrence is what attention was first added to: one state carries all
that has been read, and a step cannot begin before the one before it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from attncourse.reference.feedforward import sigmoid
from attncourse.reference.recurrent_tokens import (
    Sequence,
    TokenMask,
    masked_tokens,
)
from attncourse.shapes import Array, real, require_broadcast

Inputs = Float[Array, "*#batch input_width"]
State = Float[Array, "*#batch width"]


class GRUWeights(NamedTuple):
    """The trained numbers of a GRU: reset, update, candidate, in this order.

    `w_input` has shape (3, input_width, width), `w_state` (3, width,
    width); `b_input` and `b_state` have shape (3, width), or are None for
    zeros. torch stacks the three along one axis, transposed.
    """

    w_input: Any
    w_state: Any
    b_input: Any = None
    b_state: Any = None


class Recurrence(NamedTuple):
    """What one direction has read: `states` after each token, and `final`.

    `states` has shape (..., tokens, width) and is zero at padding; `final`
    has shape (..., width) and has read every real token.
    """

    states: Any
    final: Any


class TwoWay(NamedTuple):
    """What both directions have read, side by side.

    `states` has shape (..., tokens, forward + backward width). `last` is
    the forward state at the last real token, `first` the backward state at
    the first: each has read the whole sequence.
    """

    states: Any
    last: Any
    first: Any


def gru_cell(x: Inputs, state: State, weights: GRUWeights) -> State:
    r"""Return the state of a gated recurrent unit after one more input.

    .. math:: r = \sigma(W_r x + U_r h), \quad z = \sigma(W_z x + U_z h)

        n = \tanh(W_n x + r \odot (U_n h)), \quad
        h' = z \odot h + (1 - z) \odot n

    The update gate z says how much of the state is kept, the reset gate r
    how much of it the candidate n may read. Each product has a bias. Two
    forms are published: here the reset gate acts *after* the matrix, on
    :math:`U_n h`, as in torch and cuDNN; `gru_cell_reset_first` is the
    other.

    Source: Cho et al. (2014), "Learning Phrase Representations using RNN
    Encoder-Decoder for Statistical Machine Translation", section 2.3, in
    its first arXiv version.

    Examples
    --------
    >>> nothing = GRUWeights(np.zeros((3, 1, 1)), np.zeros((3, 1, 1)))
    >>> gru_cell([5.0], [8.0], nothing).tolist()  # half of it is kept
    [4.0]
    """
    x, state, w = _checked(x, state, weights)
    x_r, x_z, x_n = (x @ w.w_input[g] + w.b_input[g] for g in range(3))
    h_r, h_z, h_n = (state @ w.w_state[g] + w.b_state[g] for g in range(3))
    reset, update = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    candidate = np.tanh(x_n + reset * h_n)
    return update * state + (1 - update) * candidate


def gru_cell_reset_first(
    x: Inputs, state: State, weights: GRUWeights
) -> State:
    r"""Return the state after one more input, resetting before the matrix.

    .. math:: n = \tanh(W_n x + U_n (r \odot h)), \quad
              h' = z \odot h + (1 - z) \odot n

    with the gates of `gru_cell`. The weights of one form mean something
    else in the other. Bahdanau et al. use this form with the names of z
    and 1 - z exchanged.

    Source: Cho et al. (2014), section 2.3, eqs. 5-8; Bahdanau, Cho &
    Bengio (2015), appendix A.1.1.

    Examples
    --------
    >>> nothing = GRUWeights(np.zeros((3, 1, 1)), np.zeros((3, 1, 1)))
    >>> gru_cell_reset_first([5.0], [8.0], nothing).tolist()
    [4.0]
    """
    x, state, w = _checked(x, state, weights)
    x_r, x_z, x_n = (x @ w.w_input[g] + w.b_input[g] for g in range(3))
    h_r, h_z = (state @ w.w_state[g] + w.b_state[g] for g in range(2))
    reset, update = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    from_state = (reset * state) @ w.w_state[2] + w.b_state[2]
    candidate = np.tanh(x_n + from_state)
    return update * state + (1 - update) * candidate


def gru(
    x: Sequence,
    weights: GRUWeights,
    *,
    state: State | None = None,
    mask: TokenMask | None = None,
) -> Recurrence:
    r"""Return the states along a sequence, first token to last.

    .. math:: h_t = \mathrm{GRU}(x_t, h_{t-1})

    Where `mask` is False there is no token: the state is carried past it
    unchanged, NaN there has no influence, and `states` is zero.

    Parameters
    ----------
    x : shape (..., tokens, input_width).
    weights : of `gru_cell`.
    state : before the first token, shape (..., width); None for zeros.
    mask : True at real tokens, shape (..., tokens); None for all.

    Source: Cho et al. (2014), sections 2.1 and 2.3.

    Examples
    --------
    >>> nothing = GRUWeights(np.zeros((3, 1, 1)), np.zeros((3, 1, 1)))
    >>> gru([[5.0], [7.0]], nothing, state=[8.0]).states.tolist()
    [[4.0], [2.0]]
    """
    x, mask = masked_tokens(x, mask)
    *_, width = real("w_state", weights.w_state, "gates width width").shape
    state = np.zeros(width) if state is None else real("state", state, "width")
    _checked(np.zeros(x.shape[-1]), state, weights)  # even without a token
    leading = require_broadcast(x=x.shape[:-2], state=state.shape[:-1])
    state = np.broadcast_to(state, (*leading, state.shape[-1])).copy()
    states = np.zeros((*leading, x.shape[-2], width))
    for t in range(x.shape[-2]):
        here = mask[..., t, None]
        state = np.where(here, gru_cell(x[..., t, :], state, weights), state)
        states[..., t, :] = np.where(here, state, 0.0)
    return Recurrence(states, state)


def bidirectional_gru(
    x: Sequence,
    forward: GRUWeights,
    backward: GRUWeights,
    *,
    mask: TokenMask | None = None,
) -> TwoWay:
    r"""Return, for each token, what was read up to it from either side.

    .. math:: h_t = [\overrightarrow{h}_t ; \overleftarrow{h}_t]

    The backward direction starts at the last real token, not at the
    padding behind it.

    Source: Schuster & Paliwal (1997), "Bidirectional Recurrent Neural
    Networks"; Bahdanau, Cho & Bengio (2015), section 3.2.

    Examples
    --------
    >>> half = GRUWeights(np.zeros((3, 1, 1)), np.zeros((3, 1, 1)))
    >>> bidirectional_gru(np.ones((5, 1)), half, half).states.shape
    (5, 2)
    """
    x, mask = masked_tokens(x, mask)
    there = gru(x, forward, mask=mask)
    back = gru(x[..., ::-1, :], backward, mask=mask[..., ::-1])
    states = [there.states, back.states[..., ::-1, :]]
    return TwoWay(np.concatenate(states, axis=-1), there.final, back.final)


def _checked(
    x: Array, state: Array, weights: GRUWeights
) -> tuple[Array, Array, GRUWeights]:
    """Return everything as float64; absent biases become zeros."""
    x, state = real("x", x, "input_width"), real("state", state, "width")
    require_broadcast(x=x.shape[:-1], state=state.shape[:-1])
    w_input, w_state = (
        real("w_input", weights.w_input),
        real("w_state", weights.w_state),
    )
    width = state.shape[-1]
    expected = {
        "w_input": (3, x.shape[-1], width),
        "w_state": (3, width, width),
        "b_input": (3, width),
        "b_state": (3, width),
    }
    biases = (
        np.zeros((3, width)) if b is None else real("bias", b)
        for b in (weights.b_input, weights.b_state)
    )
    checked = GRUWeights(w_input, w_state, *biases)
    for name, shape in expected.items():
        got = getattr(checked, name).shape
        if got != shape:
            raise ValueError(
                f"{name} must have shape {shape}, to fit x and state: "
                f"got {got}"
            )
    return x, state, checked
