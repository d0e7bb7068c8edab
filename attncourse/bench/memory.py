"""How much memory a computation adds, counted by torch's allocator."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

# Else the recorder reports its start and its end on the terminal.
os.environ.setdefault("KINETO_LOG_LEVEL", "9")


def extra_bytes(work: Callable[[], object]) -> int:
    """Return how far torch's allocations on the CPU rose while it ran.

    What the computation returns counts, too; what was there before does
    not.

    Examples
    --------
    >>> import torch
    >>> extra_bytes(lambda: torch.ones(1000))
    4000
    """
    with profile(
        activities=[ProfilerActivity.CPU], profile_memory=True
    ) as recorded:
        work()
    events = recorded.profiler.kineto_results.events()
    changes = sorted(
        (each.start_ns(), each.nbytes())
        for each in events
        if each.name() == "[memory]"
    )
    rises = itertools.accumulate(change for _, change in changes)
    return max(rises, default=0)
