"""What mechanisms cost against the length: operations and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attncourse import figures as fig
from attncourse.reference import cost as counted
from attncourse.reference.cost import AttentionSizes, LayerSizes

TITLE = "What attention costs, against the length"
ALT = (
    "Operations of one pass against the number of tokens, both axes "
    "logarithmic, for a width of 512 in eight heads. Attention to all keys "
    "and causal attention are two parallel steep lines, a factor two apart. "
    "A window of 256 keys follows the causal line and then turns into a "
    "line of slope one. Linear attention and the projections have slope "
    "one throughout; the steep lines begin below the projections and cross "
    "them at about a thousand and two thousand tokens."
)

NUMBER_BYTES = 4
CHUNK = 64
# Each line's name, in the order of the legend, and whether it starts shown.
MECHANISMS = {
    "stored": ("all keys, weights stored", True),
    "tiled": ("all keys, in tiles", False),
    "causal": ("causal, in tiles", True),
    "window": ("causal window, in tiles", True),
    "strided": ("window, and strides behind it", False),
    "linear": ("linear, token by token", True),
    "chunked": (f"linear, in chunks of {CHUNK}", False),
    "projections": ("projections, for comparison", True),
}
MEASURES = {
    "operations": "operations of one pass",
    "kept": "memory besides q, k, v and outputs",
    "cache": "memory while writing on",
}
START = {"tokens": 1024, "width": 512, "heads": 8, "window": 256}


def data() -> dict[str, Any]:
    """Return what can be drawn, and the sizes to start from."""
    return {
        "mechanisms": [
            {"id": each, "label": label, "shown": shown}
            for each, (label, shown) in MECHANISMS.items()
        ],
        "measures": [
            {"id": each, "label": label} for each, label in MEASURES.items()
        ],
        "start": START,
        # Powers of two.
        "range": {
            "tokens": [4, 20],
            "width": [6, 13],
            "heads": [0, 5],
            "window": [4, 13],
        },
    }


def operations(
    *, tokens: int, width: int, heads: int, window: int
) -> dict[str, int]:
    """Return each mechanism's operations, as the package counts them."""
    dim = width // heads
    sizes = AttentionSizes(tokens, tokens, heads, dim)

    def scored(pairs: int | None = None) -> int:
        return counted.attention_flops(sizes, pairs=pairs)

    near = counted.window_pairs(tokens, tokens, window=window)
    # Query i sees the keys at i - w, i - 2 w, ... besides.
    far = int(np.sum(np.arange(tokens) // window))
    whole = counted.flop_count(
        queries=tokens, keys=tokens, width=width, heads=heads, dim=dim
    )
    line = {
        "tokens": tokens,
        "heads": heads,
        "features": dim,
        "value_dim": dim,
    }
    return {
        "stored": scored(),
        "tiled": scored(),
        "causal": scored(counted.causal_pairs(tokens, tokens)),
        "window": scored(near),
        "strided": scored(near + far),
        "linear": counted.linear_attention_flops(**line),
        "chunked": counted.chunked_linear_attention_flops(chunk=CHUNK, **line),
        "projections": sum(
            each for name, each in whole.items() if name.startswith("project")
        ),
    }


def kept(
    *, tokens: int, width: int, heads: int, window: int
) -> dict[str, int]:
    """Return the bytes besides queries, keys, values and outputs.

    What is kept for a backward pass, less the arrays that every mechanism
    has; linear attention keeps the state that it writes through.
    """
    dim = width // heads
    sizes = AttentionSizes(tokens, tokens, heads, dim)
    arrays = tokens * width * NUMBER_BYTES
    naive = counted.naive_saved_bytes(sizes, number_bytes=NUMBER_BYTES)
    tiled = counted.tiled_saved_bytes(sizes, number_bytes=NUMBER_BYTES)
    lines = tiled - 4 * arrays
    state = heads * (dim * dim + dim) * NUMBER_BYTES
    within = heads * min(CHUNK, tokens) ** 2 * NUMBER_BYTES
    return {
        "stored": naive - 3 * arrays,
        **dict.fromkeys(["tiled", "causal", "window", "strided"], lines),
        "linear": state,
        "chunked": state + within,
    }


def cache(
    *, tokens: int, width: int, heads: int, window: int
) -> dict[str, int]:
    """Return the bytes that stay in memory while a text is written."""
    dim = width // heads
    sizes = LayerSizes(width=width, heads=heads, dim=dim, hidden=width)

    def room(window: int | None = None) -> int:
        return counted.cache_bytes(
            counted.cached_tokens(tokens, window=window),
            sizes,
            layers=1,
            number_bytes=NUMBER_BYTES,
        )

    return {
        "causal": room(),
        "window": room(window),
        "strided": room(),
        "linear": heads * (dim * dim + dim) * NUMBER_BYTES,
    }


def summary(measure: str, sizes: dict[str, int]) -> dict[str, int]:
    """Return what every mechanism costs, from the package's counts."""
    return {"operations": operations, "kept": kept, "cache": cache}[measure](
        **sizes
    )


def fallback() -> Figure:
    """Draw the operations of what is shown at the start."""
    lengths = 2 ** np.arange(6, 17)
    rows = [
        summary("operations", {**START, "tokens": int(each)})
        for each in lengths
    ]
    figure, axes = fig.new(width=6.6, height=3.6)
    looks = [
        (fig.KEY, "-"),
        (fig.KEY, "--"),
        (fig.QUERY, "-."),
        (fig.VALUE, ":"),
        (fig.MUTED, "-"),
    ]
    shown = [name for name, (_, first) in MECHANISMS.items() if first]
    for name, (colour, style) in zip(shown, looks, strict=True):
        axes.loglog(
            lengths,
            [row[name] for row in rows],
            linestyle=style,
            color=colour,
            label=MECHANISMS[name][0],
        )
    axes.set_xlabel("tokens")
    axes.set_ylabel("operations")
    axes.legend(fontsize=8)
    return figure
