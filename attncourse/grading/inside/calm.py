"""Warnings cost nothing, whatever a notebook has made of them."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def calmly() -> Iterator[None]:
    """Let a test's calls warn of nothing, and no warning be an error.

    A notebook may have turned warnings or NumPy's floating-point errors
    into exceptions; its cells run with that, a test's calls without.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
