"""Layers one after another: encoders, decoders and language models."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from attncourse.fast.layers_parts import Mask, Tokens
from attncourse.fast.masks import causal_mask, combine_masks


class Encoder(torch.nn.Module):
    """Layers one after another, and the norm after the last, if any.

    Parameters
    ----------
    layers : encoder layers or parallel layers.
    norm : a module, or None. Pre-norm layers need one.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.1.

    Examples
    --------
    >>> from attncourse.fast.layers import EncoderLayer
    >>> encoder = Encoder([EncoderLayer(6, heads=2, hidden=11)])
    >>> encoder(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        layers: Iterable[torch.nn.Module],
        norm: torch.nn.Module | None = None,
    ):
        super().__init__()
        self.layers, self.norm = torch.nn.ModuleList(layers), norm

    def forward(self, x: Tokens, *, mask: Mask | None = None) -> Tokens:
        """Return the tokens after all layers, each with the same mask."""
        for layer in self.layers:
            x = layer(x, mask=mask)
        return x if self.norm is None else self.norm(x)


class DecoderOnly(Encoder):
    """`Encoder` with a causal mask: a language model's stack.

    Source: Radford et al. (2019), "Language Models are Unsupervised Multitask
    Learners", section 2.3.

    Examples
    --------
    >>> from attncourse.fast.layers import PreNormEncoderLayer
    >>> stack = DecoderOnly([PreNormEncoderLayer(6, heads=2, hidden=11)])
    >>> stack(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def forward(self, x: Tokens, *, mask: Mask | None = None) -> Tokens:
        """Return the tokens; none has seen a later one."""
        return super().forward(x, mask=_causal(x, mask))


class Decoder(Encoder):
    """Decoder layers one after another; no target token sees a later one.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.1.

    Examples
    --------
    >>> from attncourse.fast.layers import DecoderLayer
    >>> decoder = Decoder([DecoderLayer(6, heads=2, hidden=11)])
    >>> decoder(torch.ones(5, 6), torch.ones(7, 6)).shape
    torch.Size([5, 6])
    """

    def forward(  # type: ignore[override]
        self,
        x: Tokens,
        memory: Tokens,
        *,
        mask: Mask | None = None,
        memory_mask: Mask | None = None,
    ) -> Tokens:
        """Return target tokens; every layer reads the same memory."""
        mask = _causal(x, mask)
        for layer in self.layers:
            x = layer(x, memory, mask=mask, memory_mask=memory_mask)
        return x if self.norm is None else self.norm(x)


def _causal(x: Tokens, mask: Mask | None) -> Mask:
    """Return the mask without its later keys."""
    tokens = x.shape[-2]
    causal = causal_mask(tokens, tokens, device=x.device)
    return causal if mask is None else combine_masks(causal, mask)
