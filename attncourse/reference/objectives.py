"""What a language model is trained on, and how text is drawn from it.

The losses take logits, never probabilities: softmax happens once, inside.
Positions count where a mask is True; what stands elsewhere, in the logits
or in the targets, has no influence. Choosing the next token is in
`objectives_decoding`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from attncourse.reference.masks import masked_mean
from attncourse.reference.objectives_decoding import (
    Hypothesis,
    beam_search,
    greedy,
    keep_top_k,
    keep_top_p,
    sample,
    with_temperature,
)
from attncourse.reference.softmax import log_softmax, softmax
from attncourse.shapes import Array, count, real

__all__ = [
    "Hypothesis",
    "beam_search",
    "causal_lm_loss",
    "corrupt_tokens",
    "cross_entropy",
    "cross_entropy_backward",
    "greedy",
    "keep_top_k",
    "keep_top_p",
    "masked_lm_loss",
    "sample",
    "with_temperature",
]

Logits = Float[Array, "*positions vocabulary"]
Tokens = Int[Array, "*positions"]
Counted = Bool[Array, "*positions"]


def cross_entropy(
    logits: Logits, targets: Tokens, *, mask: Counted | None = None
) -> float:
    r"""Return the mean surprise, in nats, at the tokens that came.

    .. math:: L = -\frac{\sum_p m_p \log a_{p, y_p}}{\sum_p m_p}, \qquad
              a_p = \mathrm{softmax}(z_p)

    Equal logits give the logarithm of the size of the vocabulary. With no
    position that counts, the loss is zero.

    Parameters
    ----------
    logits : z, any real numbers, shape (..., vocabulary).
    targets : y, the token that came at each position, shape (...).
    mask : m, True where a position counts, shape (...); None for all.

    Source: Bengio et al. (2003), "A Neural Probabilistic Language Model",
    section 2.

    Examples
    --------
    >>> float(np.exp(cross_entropy(np.zeros((3, 5)), [0, 4, 2])).round(6))
    5.0
    """
    logits, targets, mask = _checked(logits, targets, mask)
    surprise = -np.take_along_axis(
        log_softmax(logits), targets[..., None], axis=-1
    )
    return masked_mean(surprise[..., 0], mask)


def cross_entropy_backward(
    logits: Logits, targets: Tokens, *, mask: Counted | None = None
) -> Logits:
    r"""Return the gradient of `cross_entropy` in the logits.

    .. math:: \frac{\partial L}{\partial z_p} =
              \frac{m_p}{\sum_r m_r} \left(a_p - e_{y_p}\right)

    What the model said minus what came: each row sums to zero, and no
    softmax needs to be undone.

    Source: Bridle (1990), "Probabilistic interpretation of feedforward
    classification network outputs".

    Examples
    --------
    >>> cross_entropy_backward([[0.0, 0.0]], [1]).tolist()
    [[0.5, -0.5]]
    """
    logits, targets, mask = _checked(logits, targets, mask)
    came = np.arange(logits.shape[-1]) == targets[..., None]
    gradient = (softmax(logits) - came) / max(1, np.count_nonzero(mask))
    return np.where(mask[..., None], gradient, 0.0)


def causal_lm_loss(
    logits: Logits, tokens: Tokens, *, mask: Counted | None = None
) -> float:
    r"""Return the loss of telling each token from the tokens before it.

    .. math:: L = \text{mean over } t \text{ of }
              -\log p(y_{t+1} \mid y_1, \dots, y_t)

    The logits at one position are judged by the token at the next. The
    first real token is told by nothing, the last logits tell nothing, and
    padding, on either side, neither tells nor is told.

    Parameters
    ----------
    logits : of a causal model, shape (..., tokens, vocabulary).
    tokens : shape (..., tokens).
    mask : True at real tokens, False at padding; None without padding.

    Source: Radford et al. (2018), "Improving Language Understanding by
    Generative Pre-Training", eq. 1.

    Examples
    --------
    >>> sure = 100 * np.eye(3)  # says that 0, then 1, then 2 comes next
    >>> round(causal_lm_loss(sure, [2, 0, 1]), 6)
    0.0
    """
    logits, tokens, mask = _checked(logits, tokens, mask)
    if tokens.ndim == 0:
        raise ValueError("tokens must have axes (..., tokens): got shape ()")
    both = mask[..., :-1] & mask[..., 1:]
    return cross_entropy(logits[..., :-1, :], tokens[..., 1:], mask=both)


def masked_lm_loss(logits: Logits, tokens: Tokens, chosen: Counted) -> float:
    """Return the loss of telling the chosen tokens from all the others.

    Only the chosen positions count: at the others the model may copy.

    Parameters
    ----------
    logits : of a model that read the corrupted tokens, without a causal
        mask, shape (..., tokens, vocabulary).
    tokens : the tokens before they were corrupted, shape (..., tokens).
    chosen : as `corrupt_tokens` returned it.

    Source: Devlin et al. (2019), "BERT: Pre-training of Deep Bidirectional
    Transformers for Language Understanding", section 3.1.

    Examples
    --------
    >>> logits = 100 * np.eye(3)  # right at the first two of three
    >>> round(masked_lm_loss(logits, [0, 1, 1], [True, False, True]), 6)
    50.0
    """
    return cross_entropy(logits, tokens, mask=chosen)


def corrupt_tokens(
    tokens: Tokens,
    eligible: Counted,
    *,
    mask_token: int,
    vocabulary: int,
    rate: float,
    rng: np.random.Generator,
) -> tuple[Tokens, Counted]:
    """Return tokens to train a masked model on, and where they were chosen.

    Of the chosen tokens 80 % become `mask_token`, 10 % a random one, and
    10 % stay, so that the model cannot trust any token that it sees.

    Parameters
    ----------
    eligible : True where a token may be chosen: not at padding, not at
        separators. Shape of `tokens`.
    rate : the probability that an eligible token is chosen; BERT's is 0.15.

    Source: Devlin et al. (2019), section 3.1 and appendix A.1.

    Examples
    --------
    >>> tokens, rng = np.array([3, 5, 5, 3]), np.random.default_rng(0)
    >>> inputs, chosen = corrupt_tokens(
    ...     tokens, tokens == 5, mask_token=9, vocabulary=7, rate=1, rng=rng
    ... )
    >>> chosen.tolist()
    [False, True, True, False]
    """
    tokens = _tokens("tokens", tokens)
    eligible = _fitting("eligible", eligible, tokens.shape)
    vocabulary = count("vocabulary", vocabulary)
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must be between 0 and 1: got {rate}")
    chosen = eligible & (rng.random(tokens.shape) < rate)
    fate = rng.random(tokens.shape)
    anything = rng.integers(vocabulary, size=tokens.shape)
    inputs = np.where(chosen & (fate < 0.8), mask_token, tokens)
    return np.where(chosen & (fate >= 0.9), anything, inputs), chosen


def _checked(
    logits: Any, targets: Any, mask: Any
) -> tuple[Logits, Tokens, Counted]:
    """Return logits, targets and mask; harmless where nothing counts."""
    logits = real("logits", logits, "vocabulary")
    targets = _tokens("targets", targets)
    *positions, vocabulary = logits.shape
    count("vocabulary", vocabulary)
    if targets.shape != tuple(positions):
        raise ValueError(
            "targets must have one token for each row of logits: "
            f"got targets {targets.shape}, logits {logits.shape}"
        )
    counted = np.ones(targets.shape, bool) if mask is None else mask
    counted = _fitting("mask", counted, targets.shape)
    outside = targets[counted & ((targets < 0) | (targets >= vocabulary))]
    if outside.size:
        raise ValueError(
            f"targets must lie between 0 and {vocabulary - 1}: "
            f"got {outside[0]}"
        )
    # NaN logits or a target of -100 may stand where nothing counts.
    logits = np.where(counted[..., None], logits, np.zeros_like(logits))
    return logits, np.where(counted, targets, 0), counted


def _tokens(name: str, value: Any) -> Tokens:
    array = np.asarray(value)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must hold whole numbers: got dtype {array.dtype}"
        )
    return array.astype(np.int64)


def _fitting(name: str, mask: Any, shape: tuple[int, ...]) -> Counted:
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise TypeError(
            f"{name} must be boolean, True where a position counts: "
            f"got dtype {array.dtype}"
        )
    if array.shape != shape:
        raise ValueError(
            f"{name} must have the shape of the tokens {shape}: "
            f"got {array.shape}"
        )
    return array
