"""A sign, an axis or a constant changed in a reference is noticed.

By default every STEP-th mutant of each module is tried, and all of them by
`make test-all`. Mutants that change nothing that a caller can see are
listed, with the reason.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attncourse.questions import UNITS

TESTS = Path(__file__).parent
STEP = 9
# (unit, statement, mutated statement): why nobody can tell the difference.
EQUIVALENT: dict[tuple[str, str, str], str] = {}


def survivors(unit, only):
    """Return the unlisted mutants of a unit's reference that live on."""
    run = subprocess.run(
        [
            sys.executable,
            str(TESTS / "mutate.py"),
            f"attncourse.reference.{unit}",
            str(TESTS / "reference" / f"test_{unit}.py"),
            "--only",
            only,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    *found, last = map(json.loads, run.stdout.splitlines())
    assert last["tried"] > 0
    return [
        each
        for each in found
        if (unit, each["before"], each["after"]) not in EQUIVALENT
    ]


@pytest.mark.parametrize("unit", UNITS)
def test_a_sample_of_mutants_dies(unit):
    assert survivors(unit, f"0/{STEP}") == []


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_every_mutant_dies(unit):
    assert survivors(unit, "0/1") == []
