"""Choosing tokens one after another: greedy, beam search, sampling.

All of them ask one function for the logits of the next token, given the
tokens so far; which model computes them is its own affair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from attncourse.reference.softmax import log_softmax, softmax
from attncourse.shapes import Array, count, real

Logits = Float[Array, "*batch vocabulary"]
Start = Int[Array, "start_tokens"]
Row = Int[Array, "tokens"]
NextLogits = Callable[[Any], Any]


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that beam search has found.

    Parameters
    ----------
    tokens : the start and what was added to it.
    log_probability : of what was added, given the start; in nats.
    finished : True if the end token was added.
    """

    tokens: Any
    log_probability: float = 0.0
    finished: bool = False


def greedy(
    next_logits: NextLogits,
    start: Start,
    *,
    steps: int,
    end: int | None = None,
) -> Row:
    """Return the start and the most probable token at each step.

    Each choice is the best for itself; the sequence need not be. Of equal
    tokens the first in the vocabulary is taken.

    Parameters
    ----------
    next_logits : takes tokens, shape (tokens,); returns (vocabulary,).
    start : tokens to begin with; may be empty.
    steps : how many tokens to add at most.
    end : the token after which nothing is added; None for none.

    Source: Sutskever, Vinyals & Le (2014), "Sequence to Sequence Learning with
    Neural Networks", section 3.2, with a beam of one.

    Examples
    --------
    >>> greedy(lambda tokens: np.eye(7)[tokens[-1] + 1], [2], steps=3).tolist()
    [2, 3, 4, 5]
    """
    tokens, steps = _sequence(start), count("steps", steps, least=0)
    for _ in range(steps):
        token = np.argmax(_logits(next_logits, tokens))
        tokens = np.append(tokens, token)
        if token == end:
            break
    return tokens


def beam_search(
    next_logits: NextLogits,
    start: Start,
    *,
    beams: int,
    steps: int,
    end: int | None = None,
) -> list[Hypothesis]:
    r"""Return the `beams` most probable sequences found, best first.

    .. math:: \log p(y) = \sum_t \log p(y_t \mid y_1, \dots, y_{t-1})

    After each step only the best hypotheses go on; one that has ended is
    kept as it is and competes with the rest. With one beam the search is
    `greedy`; with enough it is complete. No length is favoured, so the
    sum favours short sequences.

    Parameters
    ----------
    next_logits, start, steps, end : as `greedy` takes them.
    beams : how many hypotheses are kept.

    Source: Sutskever, Vinyals & Le (2014), "Sequence to Sequence Learning
    with Neural Networks", section 3.2.

    Examples
    --------
    >>> chances = np.log([[0.6, 0.4], [0.5, 0.5], [0.1, 0.9]])
    >>> def next_logits(tokens):  # after a 0 all is open, after a 1 little
    ...     return chances[0 if len(tokens) == 0 else 1 + tokens[0]]
    >>> best = beam_search(next_logits, [], beams=2, steps=2)[0]
    >>> best.tokens.tolist(), round(float(np.exp(best.log_probability)), 2)
    ([1, 1], 0.36)
    """
    steps, beams = count("steps", steps, least=0), count("beams", beams)
    kept = [Hypothesis(_sequence(start))]
    for _ in range(steps):
        if all(each.finished for each in kept):
            break
        candidates: list[Hypothesis] = []
        for each in kept:
            if each.finished:
                candidates.append(each)
            else:
                logits = _logits(next_logits, each.tokens)
                candidates += _continued(each, logits, beams, end)
        # The sort is stable: of equals, the one found first stays first.
        candidates.sort(key=lambda each: -each.log_probability)
        kept = candidates[:beams]
    return kept


def sample(
    next_logits: NextLogits,
    start: Start,
    *,
    steps: int,
    rng: np.random.Generator,
    adjust: Callable[[Any], Any] | None = None,
    end: int | None = None,
) -> Row:
    """Return the start and a token drawn by its probability at each step.

    Parameters
    ----------
    next_logits, start, steps, end : as `greedy` takes them.
    rng : the source of chance; the same state draws the same tokens.
    adjust : from logits to logits, before the softmax: `with_temperature`,
        `keep_top_k`, `keep_top_p` or one after another; None for nothing.

    Source: the chain rule of probability, one token after another.

    Examples
    --------
    >>> sure = lambda tokens: 1000 * np.eye(7)[tokens[-1] + 1]
    >>> sample(sure, [2], steps=3, rng=np.random.default_rng(0)).tolist()
    [2, 3, 4, 5]
    """
    tokens, steps = _sequence(start), count("steps", steps, least=0)
    for _ in range(steps):
        logits = _logits(next_logits, tokens)
        if adjust is not None:
            logits = adjust(logits)
        token = rng.choice(len(logits), p=softmax(logits))
        tokens = np.append(tokens, token)
        if token == end:
            break
    return tokens


def with_temperature(logits: Logits, *, temperature: float) -> Logits:
    r"""Return the logits divided by a temperature, the highest moved to 0.

    .. math:: z'_i = (z_i - \max_j z_j) / \tau

    The shift changes no probability, and a small temperature cannot
    overflow. Towards 0 sampling becomes greedy; a high temperature makes
    all tokens alike.

    Source: Ackley, Hinton & Sejnowski (1985), "A Learning Algorithm for
    Boltzmann Machines", section 2.

    Examples
    --------
    >>> with_temperature([1.0, 3.0], temperature=0.5).tolist()
    [-4.0, 0.0]
    """
    logits = real("logits", logits, "vocabulary")
    if not 0 < temperature < np.inf:
        raise ValueError(
            f"temperature must be positive and finite: got {temperature}"
        )
    highest = np.max(logits, axis=-1, keepdims=True, initial=-np.inf)
    with np.errstate(over="ignore"):  # to -inf, whose exponential is zero
        return (logits - highest) / temperature


def keep_top_k(logits: Logits, *, k: int) -> Logits:
    """Return the k highest logits of each row, minus infinity elsewhere.

    Of equal logits the first in the vocabulary are kept, so that there are
    never more than k.

    Source: Fan, Lewis & Dauphin (2018), "Hierarchical Neural Story
    Generation".

    Examples
    --------
    >>> keep_top_k([5.0, 1.0, 7.0, 5.0], k=2).tolist()
    [5.0, -inf, 7.0, -inf]
    """
    logits = real("logits", logits, "vocabulary")
    k = count("k", k)
    best = np.argsort(-logits, axis=-1, kind="stable")[..., :k]
    kept = np.full(logits.shape, -np.inf)
    np.put_along_axis(
        kept, best, np.take_along_axis(logits, best, axis=-1), axis=-1
    )
    return kept


def keep_top_p(logits: Logits, *, p: float) -> Logits:
    r"""Return the fewest highest logits whose probabilities reach p.

    The others become minus infinity. Token i, in falling order, is kept if
    those before it fall short: :math:`\sum_{j < i} a_j < p`. The most
    probable token is always kept; a sure model keeps few, an unsure one
    many, which a fixed k cannot.

    Source: Holtzman et al. (2020), "The Curious Case of Neural Text
    Degeneration", section 3.1.

    Examples
    --------
    >>> keep_top_p(np.log([0.25, 0.5, 0.125, 0.125]), p=0.6).round(2).tolist()
    [-1.39, -0.69, -inf, -inf]
    """
    logits = real("logits", logits, "vocabulary")
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1: got {p}")
    falling = np.argsort(-logits, axis=-1, kind="stable")
    ordered = np.take_along_axis(logits, falling, axis=-1)
    weights = softmax(ordered)
    before = np.cumsum(weights, axis=-1) - weights
    kept = np.empty(logits.shape)
    np.put_along_axis(
        kept, falling, np.where(before < p, ordered, -np.inf), axis=-1
    )
    return kept


def _continued(
    hypothesis: Hypothesis, logits: Logits, beams: int, end: int | None
) -> list[Hypothesis]:
    """Return the best ways to go on, by one token; impossible ones never."""
    logarithms = log_softmax(logits)
    best = np.argsort(-logarithms, kind="stable")[:beams]
    return [
        Hypothesis(
            np.append(hypothesis.tokens, token),
            hypothesis.log_probability + float(logarithms[token]),
            bool(token == end),
        )
        for token in best
        if np.isfinite(logarithms[token])
    ]


def _logits(next_logits: NextLogits, tokens: Row) -> Logits:
    """Return one row of logits that allows at least one token."""
    logits = real("logits", next_logits(tokens.copy()))
    if logits.ndim != 1 or not logits.size:
        raise ValueError(
            "next_logits must return one row, shape (vocabulary,): "
            f"got {logits.shape}"
        )
    # The maximum of a row with NaN is NaN.
    if not np.isfinite(np.max(logits)):
        raise ValueError(
            "the highest of the logits must be finite: "
            f"got {float(np.max(logits))}"
        )
    return logits


def _sequence(start: Any) -> Row:
    tokens = np.asarray(start)
    if tokens.ndim != 1:
        raise ValueError(f"start must have one axis: got shape {tokens.shape}")
    if tokens.size and tokens.dtype.kind not in "iu":
        raise TypeError(
            f"start must hold whole numbers: got dtype {tokens.dtype}"
        )
    return tokens.astype(np.int64)
