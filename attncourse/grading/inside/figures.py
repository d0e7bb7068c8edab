"""Figures of matplotlib, drawn into the outputs of the visible run."""

from __future__ import annotations

import os
import sys

INLINE = "module://matplotlib_inline.backend_inline"


def choose_backend(visible: bool) -> None:
    """Draw into the outputs, or where nobody sees it."""
    backend = INLINE if visible else "agg"
    os.environ["MPLBACKEND"] = backend
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].rcParams["backend"] = backend
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].switch_backend(backend)


def finish(visible: bool) -> None:
    """Show the open figures at the end of a cell, and close them."""
    plots = sys.modules.get("matplotlib.pyplot")
    if plots is None:
        return
    if visible and "inline" in plots.get_backend():
        sys.modules["matplotlib_inline.backend_inline"].flush_figures()
    plots.close("all")
