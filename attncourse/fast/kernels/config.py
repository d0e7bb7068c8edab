"""Which tiles a kernel works in, and why: chosen in plain Python.

A multiprocessor of a Hopper GPU has 65,536 registers, at most 255 of them
for a thread, and 227 KiB of shared memory for a program. A tile must be
large enough that its products of matrices outlast the reading of the next
one, and small enough that its sums stay in registers: one that spills to
memory is several times slower. `contract.py` checks both without a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

WIDEST = 256
# A part of the L2 cache (50 MiB on H100 and H200) that keys may fill.
L2_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Config:
    """The tiles of one kernel.

    `rows` of queries and `columns` of keys at a time; `warps` of 32
    threads that share them; `stages` of tiles that are in flight at once;
    `specialize`: whether some warps only copy while the others compute.
    """

    rows: int
    columns: int
    warps: int
    stages: int
    specialize: bool = False


def padded(width: int) -> int:
    """Return the width of a tile for heads of this width.

    Tiles are powers of two, and the matrix unit multiplies 16 at a time.

    Examples
    --------
    >>> padded(96), padded(3)
    (128, 16)
    """
    if width > WIDEST:
        raise ValueError(
            f"dim and value_dim must be at most {WIDEST}: got {width}"
        )
    return max(16, 1 << (width - 1).bit_length())


def forward_config(
    width: int, *, item_bytes: int, windowed: bool, capability: int
) -> Config:
    """Return the tiles of the forward kernel.

    Parameters
    ----------
    width : the larger of the padded widths of keys and values.
    item_bytes : of one number; 2 for the half types, 4 for float32.
    windowed : whether the first keys are hidden, too.
    capability : of the GPU, 90 for Hopper.

    Examples
    --------
    >>> forward_config(128, item_bytes=2, windowed=False, capability=90)
    Config(rows=128, columns=128, warps=8, stages=2, specialize=False)
    """
    if item_bytes == 4:
        return _exact(width)
    if _narrow(capability):
        # Products by single warps, whose sums need most registers.
        return Config(64, 32, 4 if width <= 128 else 8, 2)
    if width > 128:
        # 128 x 256 sums alone take 128 registers of 256 threads.
        return Config(64 if windowed else 128, 32, 8, 2)
    if windowed:
        # Narrow tiles fit the edges of a window better, and there are few
        # others to hide the reading behind.
        return Config(128, 64, 8, 2)
    # Two groups of four warps take 64 rows each: one computes exponentials
    # while the other multiplies. 128 keys are the most whose scores and
    # weights both stay in registers; two stages of width 128 and the
    # queries fill 160 of the 227 KiB.
    return Config(128, 128, 8, 2)


def query_gradient_config(
    width: int, *, item_bytes: int, capability: int
) -> Config:
    """Return the tiles of the kernel that adds up the queries' gradient.

    Examples
    --------
    >>> query_gradient_config(64, item_bytes=2, capability=90).rows
    128
    """
    if item_bytes == 4:
        return _exact(width)
    if _narrow(capability):
        return Config(64, 32, 4 if width <= 128 else 8, 2)
    if width > 128:
        return Config(64, 32, 8, 2)
    if width > 64:
        # Queries, upstream gradient and two stages of 64 keys and values:
        # 128 KiB; scores, their gradient and the sums: 128 registers.
        return Config(128, 64, 8, 2)
    return Config(128, 128, 8, 2)


def key_gradient_config(
    width: int, *, item_bytes: int, causal: bool, capability: int
) -> Config:
    """Return the tiles of the kernel that adds up keys' and values'.

    It keeps two sums, so that its tiles of queries are narrower.

    Examples
    --------
    >>> half = {"item_bytes": 2, "capability": 90}
    >>> key_gradient_config(128, causal=True, **half).rows
    32
    """
    if item_bytes == 4:
        return _exact(width)
    if _narrow(capability):
        return Config(32, 32, 4 if width <= 64 else 8, 2)
    if width > 128:
        return Config(32, 64, 8, 2)
    if width > 64 and causal:
        # 128 registers hold the two sums, and a mask needs its own.
        return Config(32, 128, 8, 2)
    return Config(64, 128, 8, 2)


def _exact(width: int) -> Config:
    """Return the tiles for float32, whose products use no matrix unit.

    They are small, so that what is multiplied stays in registers.
    """
    return Config(32, 32, 4, 1) if width <= 64 else Config(16, 16, 8, 1)


def _narrow(capability: int) -> bool:
    """Tell if a program has 99 to 163 KiB, as on Ampere and on desktops."""
    return capability < 90 or capability >= 120


def heads_together(keys: int, widths: int, item_bytes: int) -> int:
    """Return how many heads' keys and values fit the L2 cache at once.

    Examples
    --------
    >>> heads_together(16384, 128 + 128, 2)
    4
    """
    return max(1, L2_BYTES // max(1, keys * widths * item_bytes))


def candidates(width: int, *, kernel: str) -> list[Config]:
    """Return the tiles that `attncourse bench --gpu --tune` tries.

    `kernel` is "forward", "query_gradients" or "key_gradients". One or
    two of them spill a few bytes at the edges: a GPU tells if that hurts.
    """
    if kernel == "forward":
        found = [
            Config(128, 128, 8, 2),
            Config(128, 64, 8, 2),
            Config(128, 64, 8, 3),
            Config(64, 64, 4, 2),
            Config(64, 128, 4, 2),
            Config(64, 128, 4, 2, specialize=True),
        ]
        if width <= 64:
            found += [Config(128, 128, 8, 3), Config(256, 64, 8, 3)]
        return found
    if kernel == "query_gradients":
        found = [Config(128, 64, 8, 2), Config(64, 64, 4, 2)]
        if width <= 64:
            found += [Config(128, 128, 8, 2), Config(128, 64, 8, 3)]
        return found
    if kernel == "key_gradients":
        found = [Config(64, 128, 8, 2), Config(32, 128, 8, 2)]
        if width <= 64:
            found += [Config(128, 128, 8, 2), Config(64, 128, 8, 3)]
        return found
    raise ValueError(
        "kernel must be forward, query_gradients or key_gradients: "
        f"got {kernel}"
    )
