"""What all texts share stays as it is, whatever one of them does to it.

One Python judges all texts of a page. A reader who tries out
``np.exp = ...`` or ``np.seterr(all="raise")`` must not spoil the next
verdict.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import numpy as np

SHARED = {"attncourse", "builtins", "math", "numpy"}


@contextlib.contextmanager
def intact() -> Iterator[None]:
    """Undo on leaving what was changed in modules and settings meanwhile.

    Examples
    --------
    >>> with intact():
    ...     np.pi = 3
    >>> np.pi > 3
    True
    """
    modules = [
        (vars(module), dict(vars(module)))
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in SHARED
    ]
    limit = sys.getrecursionlimit()
    with np.errstate(), np.printoptions():
        try:
            yield
        finally:
            # Added names stay: parts of NumPy load when they are used.
            for now, before in modules:
                now.update(before)
            sys.setrecursionlimit(limit)
