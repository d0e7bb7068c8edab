"""What the server does once, so that its children need not."""

from __future__ import annotations

import gc
import importlib
import site
import sys
from collections.abc import Iterable

from . import pages, wire
from .shell import Shell


def complete() -> None:
    """Add to the built-in names what ``site`` would have added."""
    site.setquit()
    site.sethelper()
    site.setcopyright()


def preload(names: Iterable[str]) -> tuple[str, ...]:
    """Import packages; return those that are not there."""
    missing = []
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if "torch" in sys.modules:
        # The first optimiser of a process would import it for a second.
        importlib.import_module("torch._dynamo")
        sys.modules["torch"].set_num_threads(1)
    if "matplotlib" in sys.modules:
        importlib.import_module("matplotlib_inline.backend_inline")
    return tuple(missing)


def warm_up() -> Shell:
    """Return the shell, after running through what is done most.

    No gradient and no parallel region: torch refuses both in a process
    that was forked after them.
    """
    import numpy as np

    shell = Shell(visible=True)
    values = np.random.default_rng(0).normal(size=(3, 5))
    wire.decode(wire.encode({"value": (values @ values.T, 1.0, "text")}))
    return shell


def settle() -> None:
    """Make what the children share quick to fork, and leave it untouched."""
    gc.collect()
    gc.freeze()
    pages.use_large()
