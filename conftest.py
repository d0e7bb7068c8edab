"""What pytest need not look for examples in: modules that cannot be imported.

Triton exists for Linux only. The kernels have no examples to run, and
`tests/fast/test_kernels.py` says aloud what it skips.
"""

import importlib.util
from pathlib import Path

KERNELS = Path("attncourse", "fast", "kernels")
NEED_TRITON = ("backward.py", "contract.py", "forward.py", "launch.py")


def without(package):
    """Tell if the package is not there, or not to be had."""
    try:
        return importlib.util.find_spec(package) is None
    except ModuleNotFoundError:
        return True


collect_ignore = (
    [str(KERNELS / name) for name in NEED_TRITON] if without("triton") else []
)
