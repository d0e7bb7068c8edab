"""Keys of content: what a grade depends on, and all that it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attncourse.grading.handed_in.collecting import Submitted
from attncourse.grading.keeping.runlog import versions
from attncourse.grading.model import Plan

HERE = Path(__file__).parents[1]


def plan_key(plan: Plan) -> str:
    """Return a digest of what is asked and how it is judged."""
    return _digest(plan.to_json())


def environment_key(code: Iterable[Path], settings: Any) -> str:
    """Return a digest of the grader, the course's code and the versions.

    Parameters
    ----------
    code : modules and folders of modules that the tests use.
    settings : JSON of how submissions are graded.
    """
    whole = hashlib.sha256()
    for top in (HERE, HERE.parent / "checking", *code):
        files = [top] if top.is_file() else sorted(top.rglob("*.py"))
        for file in files:
            whole.update(f"{file.relative_to(top.parent)}\0".encode())
            whole.update(hashlib.sha256(file.read_bytes()).digest())
    return _digest([whole.hexdigest(), versions(), settings])


def submission_key(
    submitted: Submitted, *, plan: str, environment: str, seed: str
) -> str:
    """Return the key under which a submission's grade is recorded."""
    files = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in sorted(submitted.files.items())
    }
    data = hashlib.sha256(submitted.data or b"").hexdigest()
    notes = list(submitted.notes)
    return _digest([data, files, notes, plan, environment, seed])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
