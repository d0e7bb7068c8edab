"""The sandbox servers of a worker: one for all, others for heavy modules.

To import torch takes seconds, and would in each child. So a submission
that imports it is given a child of a server which has it already.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from attncourse.grading.model import Job
from attncourse.grading.notebooks.imports import imported
from attncourse.grading.sandbox.owner import Sandbox

# Beside the first one; the one that was not used for longest ends.
MOST = 3


class Servers:
    """A sandbox for each job, with the heavy modules that it imports.

    `heavy` names modules, of which the package is looked for; `settings`
    are those of `Sandbox`. Where nobody imports one, there is `first` alone.
    A job never gets one that it does not import: what can be seen of a
    server must not depend on who was graded before.
    """

    def __init__(
        self,
        heavy: tuple[str, ...] = (),
        *,
        preload: tuple[str, ...] = ("numpy",),
        **settings: Any,
    ) -> None:
        self.heavy = heavy
        self.preload = preload
        self.settings = settings
        self.first = Sandbox(preload=preload, **settings)
        self._others: dict[tuple[str, ...], Sandbox] = {}

    def fit(self, job: Job) -> Sandbox:
        """Return the sandbox which has loaded what a job imports."""
        needed = self.needed(job)
        if not needed:
            return self.first
        found = self._others.pop(needed, None)
        if found is None:
            while len(self._others) >= MOST:
                self._others.pop(next(iter(self._others))).close()
            preload = (*self.preload, *needed)
            found = Sandbox(preload=preload, **self.settings)
        self._others[needed] = found
        return found

    def needed(self, job: Job) -> tuple[str, ...]:
        """Return the heavy modules of what a job's cells and files import.

        None that a file beside the notebook stands for: that one is meant.
        """
        packages = {name: name.partition(".")[0] for name in self.heavy}
        own = {PurePosixPath(name).parts[0] for name in job.files}
        wanted = {
            package
            for package in packages.values()
            if not own.intersection((package, f"{package}.py"))
        }
        found = imported(_sources(job), wanted)
        return tuple(name for name in self.heavy if packages[name] in found)

    def close(self) -> None:
        """End all servers."""
        try:
            while self._others:
                self._others.popitem()[1].close()
        finally:
            self.first.close()


def _sources(job: Job) -> Iterator[str]:
    """Yield all code that may run in a job's sandbox, or calls into it."""
    for step in job.script.steps:
        yield step.source
    for cell in job.plan.cells:
        if cell.cell_type == "code":
            yield cell.source
    for name, data in job.files.items():
        if name.endswith(".py"):
            try:
                yield base64.b64decode(data).decode("utf-8", "replace")
            except binascii.Error:
                continue
