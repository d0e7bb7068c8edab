"""Normalisation of tokens, forwards and backwards: layer norm, RMS norm.

Both look at one token at a time and at nothing else: no other token of the
sequence and no other sequence of the batch changes what comes out.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attncourse.shapes import Array, real

Tokens = Float[Array, "*batch width"]
PerColumn = Float[Array, "width"]


def standardize(x: Tokens, *, eps: float = 1e-5) -> Tokens:
    r"""Return each token shifted to mean zero and scaled to variance one.

    .. math:: \hat{x} = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \quad
              \mu = \tfrac{1}{d} \sum_c x_c, \quad
              \sigma^2 = \tfrac{1}{d} \sum_c (x_c - \mu)^2

    The variance is the biased one: it divides by d, not by d - 1, because
    it describes these d numbers and estimates nothing. With `eps`, a token
    of equal numbers becomes zeros instead of 0 / 0.

    Source: Ba, Kiros & Hinton (2016), "Layer Normalization", eq. 3.

    Examples
    --------
    >>> standardize([[1, 1, 5, 5]], eps=1e-12).round(6).tolist()
    [[-1.0, -1.0, 1.0, 1.0]]
    """
    x = _tokens(x)
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / _root_mean_square(centred, eps)


def standardize_backward(
    x: Tokens, upstream: Tokens, *, eps: float = 1e-5
) -> Tokens:
    r"""Return the gradient of a loss in the argument of `standardize`.

    .. math:: dx = \frac{1}{\sqrt{\sigma^2 + \epsilon}}
              \left(g - \overline{g} - \hat{x}\,\overline{g \hat{x}}\right)

    The bars are means over the d numbers of a token. What a common shift
    or (up to `eps`) a common scale of a token would change is taken away,
    because `standardize` takes it away.

    Parameters
    ----------
    x, eps : as `standardize` took them.
    upstream : gradient in its result, g, of the shape of `x`.

    Source: derivative of `standardize`; Ba et al. (2016), "Layer
    Normalization", section 5.1, names the invariances.

    Examples
    --------
    >>> standardize_backward([[1, 1, 5, 5]], [[4, 0, 0, 8]]).round(3).tolist()
    [[1.0, -1.0, -2.0, 2.0]]
    """
    x = _tokens(x)
    g = _like("upstream", upstream, x)
    centred = x - np.mean(x, axis=-1, keepdims=True)
    spread = _root_mean_square(centred, eps)
    normal = centred / spread
    along = np.mean(g * normal, axis=-1, keepdims=True)
    return (g - np.mean(g, axis=-1, keepdims=True) - normal * along) / spread


def layer_norm(
    x: Tokens,
    gain: PerColumn,
    shift: PerColumn | None = None,
    *,
    eps: float = 1e-5,
) -> Tokens:
    r"""Return standardised tokens, each column scaled and shifted.

    .. math:: y = \gamma \odot \hat{x} + \beta

    The gain and the shift are trained, one number a column and the same
    for every token, so that the layer can still choose any mean and any
    spread for a column.

    Source: Ba, Kiros & Hinton (2016), "Layer Normalization", eq. 4.

    Examples
    --------
    >>> layer_norm([[7, 7]], gain=[2, 2], shift=[3, 4]).tolist()
    [[3.0, 4.0]]
    """
    normal = standardize(x, eps=eps)
    y = _per_column("gain", gain, normal) * normal
    return y if shift is None else y + _per_column("shift", shift, normal)


def layer_norm_backward(
    x: Tokens, gain: PerColumn, upstream: Tokens, *, eps: float = 1e-5
) -> tuple[Tokens, PerColumn, PerColumn]:
    r"""Return the gradients of a loss in the tokens, the gain and the shift.

    .. math:: d\beta = \sum_t g_t, \qquad
              d\gamma = \sum_t g_t \odot \hat{x}_t

    The gradient in the tokens is that of `standardize`, with the upstream
    gradient times the gain. The shift itself has no influence on any.

    Source: derivative of `layer_norm`.

    Examples
    --------
    >>> _, dgain, dshift = layer_norm_backward([[1, 3]], [1, 1], [[5, 7]])
    >>> dgain.round(3).tolist(), dshift.tolist()
    ([-5.0, 7.0], [5.0, 7.0])
    """
    normal = standardize(x, eps=eps)
    g = _like("upstream", upstream, normal)
    gain = _per_column("gain", gain, normal)
    dx = standardize_backward(x, g * gain, eps=eps)
    return dx, _over_tokens(g * normal), _over_tokens(g)


def rms_norm(x: Tokens, gain: PerColumn, *, eps: float = 1e-5) -> Tokens:
    r"""Return each token divided by its root mean square, then scaled.

    .. math:: y = \gamma \odot \frac{x}{\sqrt{\overline{x^2} + \epsilon}}

    No mean is subtracted and none is added: on tokens of mean zero it is
    `layer_norm` without a shift.

    Source: Zhang & Sennrich (2019), "Root Mean Square Layer Normalization",
    eq. 4.

    Examples
    --------
    >>> rms_norm([[3, 3, -3]], gain=[1, 2, 1]).round(3).tolist()
    [[1.0, 2.0, -1.0]]
    """
    x = _tokens(x)
    return _per_column("gain", gain, x) * x / _root_mean_square(x, eps)


def rms_norm_backward(
    x: Tokens, gain: PerColumn, upstream: Tokens, *, eps: float = 1e-5
) -> tuple[Tokens, PerColumn]:
    r"""Return the gradients of a loss in the tokens and in the gain.

    .. math:: dx = \frac{u - \hat{x}\,\overline{u \hat{x}}}
              {\sqrt{\overline{x^2} + \epsilon}}, \qquad
              u = \gamma \odot g, \qquad
              d\gamma = \sum_t g_t \odot \hat{x}_t

    Source: derivative of `rms_norm`.

    Examples
    --------
    >>> dx, dgain = rms_norm_backward([[2, -2]], [1, 1], [[4, 0]])
    >>> dx.round(3).tolist(), dgain.round(3).tolist()
    ([[1.0, 1.0]], [4.0, 0.0])
    """
    x = _tokens(x)
    g = _like("upstream", upstream, x)
    size = _root_mean_square(x, eps)
    normal = x / size
    u = _per_column("gain", gain, x) * g
    along = np.mean(u * normal, axis=-1, keepdims=True)
    return (u - normal * along) / size, _over_tokens(g * normal)


def _root_mean_square(x: Tokens, eps: float) -> Float[Array, "*batch 1"]:
    if not 0 < eps < np.inf:
        raise ValueError(f"eps must be positive and finite: got {eps}")
    return np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)


def _tokens(x: Tokens) -> Tokens:
    x = real("x", x, "width")
    if x.shape[-1] == 0:
        raise ValueError("width must be at least 1: got 0")
    return x


def _like(name: str, value: Tokens, x: Tokens) -> Tokens:
    value = real(name, value)
    if value.shape != x.shape:
        raise ValueError(
            f"{name} must have the shape of x {x.shape}: got {value.shape}"
        )
    return value


def _per_column(name: str, value: PerColumn, x: Tokens) -> PerColumn:
    value = real(name, value)
    if value.shape != x.shape[-1:]:
        raise ValueError(
            f"{name} must have one number for each column of x: "
            f"got {name} {value.shape}, x {x.shape}"
        )
    return value


def _over_tokens(gradient: Tokens) -> PerColumn:
    """Return the sum over all tokens: they share the gain and the shift."""
    return gradient.sum(axis=tuple(range(gradient.ndim - 1)))
