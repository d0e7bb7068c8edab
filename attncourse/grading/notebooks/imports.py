"""Which packages a notebook may import, by a look at its text.

A guess for speed alone: what is missed is imported when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LINE = re.compile(r"^[^\n#]*\bimport\b[^\n#]*", re.MULTILINE)
WORD = re.compile(r"[^\W\d]\w*")


def imported(sources: Iterable[str], packages: Iterable[str]) -> set[str]:
    r"""Return those of `packages` that a line with `import` names.

    Examples
    --------
    >>> imported(["import numpy as np, torch"], ["torch", "scipy"])
    {'torch'}
    >>> imported(["    from torch.nn import Linear"], ["torch"])
    {'torch'}
    >>> imported(["# import torch\nprint('torch')"], ["torch"])
    set()
    """
    wanted = set(packages)
    found: set[str] = set()
    for source in sources:
        if any(name in source for name in wanted - found):
            for line in LINE.findall(source):
                found |= wanted.intersection(WORD.findall(line))
    return found
