"""The two servers that the judge's tests share, or why there are none."""

import pytest

from attncourse.grading.inside import isolate
from attncourse.grading.sandbox.owner import Sandbox


def sandbox():
    """Return a sandbox, or skip aloud where none can be had."""
    missing = isolate.available().missing
    if missing:
        pytest.skip(f"no isolation here: {'; '.join(missing)}")
    return Sandbox(preload=("numpy",))
