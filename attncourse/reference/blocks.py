"""Transformer stacks: encoder, decoder, decoder alone, encoder-decoder.

One layer is in `blocks_layers`, what it holds in `blocks_parts`, and how it
starts in `blocks_start`.
"""

from __future__ import annotations

from attncourse.reference.blocks_layers import (
    decoder_layer,
    encoder_layer,
    parallel_layer,
    pre_norm_decoder_layer,
    pre_norm_encoder_layer,
)
from attncourse.reference.blocks_parts import (
    DecoderLayer,
    EncoderDecoder,
    EncoderLayer,
    Memory,
    MemoryMask,
    NormWeights,
    ParallelLayer,
    SourceMask,
    Stack,
    feed,
    normed,
    parallel,
    post_norm,
    pre_norm,
    residual,
)
from attncourse.reference.blocks_start import (
    decoder_parameter_count,
    encoder_parameter_count,
    new_decoder_layer,
    new_encoder_layer,
    new_parallel_layer,
)
from attncourse.reference.heads_parts import Tokens
from attncourse.reference.masks import causal_mask, combine_masks
from attncourse.shapes import Mask, real

__all__ = [
    "DecoderLayer",
    "EncoderDecoder",
    "EncoderLayer",
    "NormWeights",
    "ParallelLayer",
    "Stack",
    "decoder",
    "decoder_layer",
    "decoder_only",
    "decoder_parameter_count",
    "encoder",
    "encoder_decoder",
    "encoder_layer",
    "encoder_parameter_count",
    "feed",
    "new_decoder_layer",
    "new_encoder_layer",
    "new_parallel_layer",
    "normed",
    "parallel",
    "parallel_layer",
    "post_norm",
    "pre_norm",
    "pre_norm_decoder_layer",
    "pre_norm_encoder_layer",
    "residual",
]


def encoder(
    x: Tokens, stack: Stack, *, heads: int, mask: Mask | None = None
) -> Tokens:
    """Return the tokens after all layers, each with the same mask.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.1.

    Examples
    --------
    >>> layers = [new_encoder_layer(width=4, hidden=3, seed=n) for n in (0, 1)]
    >>> stack = Stack(layers, pre_norm_encoder_layer)
    >>> encoder([[7, 7, 7, 7]], stack, heads=2).tolist()
    [[7.0, 7.0, 7.0, 7.0]]
    """
    x = real("x", x, "tokens width")
    for layer in stack.layers:
        x = stack.layer(x, layer, heads=heads, mask=mask)
    return x if stack.norm is None else normed(x, stack.norm)


def decoder_only(
    x: Tokens, stack: Stack, *, heads: int, mask: Mask | None = None
) -> Tokens:
    """Return `encoder` with a causal mask: a language model's stack.

    No token depends on a later one, so the logits of all positions can be
    trained at once. `mask` may hide more, for instance padding.

    Source: Radford et al. (2019), "Language Models are Unsupervised
    Multitask Learners", section 2.3 (GPT-2).

    Examples
    --------
    >>> layer = new_encoder_layer(width=4, hidden=3, seed=0)
    >>> stack = Stack([layer], pre_norm_encoder_layer)
    >>> x = [[7, 7, 7, 7], [1, 2, 3, 4]]  # the first sees only itself
    >>> decoder_only(x, stack, heads=2)[0].tolist()
    [7.0, 7.0, 7.0, 7.0]
    """
    return encoder(x, stack, heads=heads, mask=_causal(x, mask))


def decoder(
    x: Tokens,
    memory: Memory,
    stack: Stack,
    *,
    heads: int,
    mask: Mask | None = None,
    memory_mask: MemoryMask | None = None,
) -> Tokens:
    """Return target tokens after all layers, none having seen a later one.

    Every layer reads the same memory, the result of the whole encoder.

    Parameters
    ----------
    x, memory, memory_mask : as `decoder_layer` takes them.
    mask : what a target token may see of those up to itself; None for all.

    Source: Vaswani et al. (2017), section 3.1.

    Examples
    --------
    >>> layers = [new_decoder_layer(width=2, hidden=3, seed=n) for n in (0, 1)]
    >>> stack = Stack(layers, decoder_layer)
    >>> decoder([[1, 2]], [[3, 5], [7, 8]], stack, heads=1).shape
    (1, 2)
    """
    x, mask = real("x", x, "tokens width"), _causal(x, mask)
    for layer in stack.layers:
        x = stack.layer(
            x, memory, layer, heads=heads, mask=mask, memory_mask=memory_mask
        )
    return x if stack.norm is None else normed(x, stack.norm)


def encoder_decoder(
    source: Memory,
    target: Tokens,
    model: EncoderDecoder,
    *,
    heads: int,
    source_mask: SourceMask | None = None,
    target_mask: Mask | None = None,
) -> Tokens:
    """Return, for each target token, a token from which the next is told.

    Parameters
    ----------
    source : embedded tokens with their positions, (..., source, width).
    target : the same of the target so far, shape (..., tokens, width).
    source_mask : padding of the source, shape (..., 1, source); it holds
        for the encoder and for what the decoder reads of it.
    target_mask : padding of the target, shape (..., 1, tokens).

    Source: Vaswani et al. (2017), figure 1, between the embeddings and the
    last linear map.

    Examples
    --------
    >>> one = new_encoder_layer(width=2, hidden=3, seed=0)
    >>> two = new_decoder_layer(width=2, hidden=3, seed=1)
    >>> model = EncoderDecoder(
    ...     Stack([one], encoder_layer), Stack([two], decoder_layer)
    ... )
    >>> encoder_decoder([[3, 5], [7, 8]], [[1, 2]], model, heads=1).shape
    (1, 2)
    """
    memory = encoder(source, model.encoder, heads=heads, mask=source_mask)
    return decoder(
        target,
        memory,
        model.decoder,
        heads=heads,
        mask=target_mask,
        memory_mask=source_mask,
    )


def _causal(x: Tokens, mask: Mask | None) -> Mask:
    """Return the mask without its later keys."""
    tokens = real("x", x, "tokens width").shape[-2]
    causal = causal_mask(tokens, tokens)
    return causal if mask is None else combine_masks(causal, mask)
