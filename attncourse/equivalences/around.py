"""What stands around attention, or generalises it."""

from __future__ import annotations

import numpy as np

from attncourse.equivalences.row import (
    DIM,
    TOKENS,
    Equivalence,
    enters_into,
)
from attncourse.reference import (
    capsules,
    heads,
    hierarchical,
    lora,
    norms,
    objectives,
    patches_parts,
    spatial,
)

ROWS: list[Equivalence] = []
same = enters_into(ROWS)


@same("attention pooling", "a mean", "the context vector is zero")
def _(draw):
    x = draw(TOKENS, DIM)
    pooled = hierarchical.attention_pooling(
        x, draw(DIM, 7), draw(7), np.zeros(7)
    )
    return pooled, x.mean(axis=0)


@same("low-rank update", "one matrix", "merged")
def _(draw):
    x, weight = draw(TOKENS, DIM), draw(DIM, 7)
    update = lora.LowRank(draw(DIM, 2), draw(2, 7), alpha=3.0)
    merged = lora.merge_lora(weight, update)
    return lora.lora_project(x, weight, update), heads.project(x, merged)


@same("capsule routing", "equal shares", "one round")
def _(draw):
    predicted = draw(7, 3, DIM)
    routed = capsules.route(predicted, iterations=1)
    return routed.capsules, capsules.squash(predicted.mean(axis=0) * 7 / 3)


@same("spatial transformer", "the image itself", "the identity map")
def _(draw):
    image = draw(2, 7, 5)
    identity = np.eye(2, 3)
    seen = spatial.spatial_transform(image, identity, height=7, width=5)
    return seen, image


@same("patch embedding", "a linear map", "the image is one patch")
def _(draw):
    image, kernel = draw(2, 3, 3), draw(DIM, 2, 3, 3)
    embedded = patches_parts.patch_embedding(image, kernel)
    return embedded.ravel(), kernel.reshape(DIM, -1) @ image.ravel()


@same("layer norm", "RMS norm", "the tokens have mean zero")
def _(draw):
    x, gain = draw(TOKENS, DIM), draw(DIM)
    x -= x.mean(axis=-1, keepdims=True)
    return norms.layer_norm(x, gain), norms.rms_norm(x, gain)


@same("beam search", "greedy decoding", "one beam")
def _(draw):
    table, start = draw(7, 7), np.array([3])

    def next_logits(tokens):
        return table[tokens[-1]]

    (found,) = objectives.beam_search(next_logits, start, beams=1, steps=9)
    greedy = objectives.greedy(next_logits, start, steps=9)
    return np.asarray(found.tokens), greedy
