"""A Dask cluster on this machine, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = str(Path(__file__).parent)


class Dask:
    """A scheduler and two worker processes."""

    def __init__(self, folder: Path):
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen] = []
        self.folder = folder
        self.start("scheduler", "--port", "0", "--no-dashboard")
        self.workers = [self.worker(), self.worker()]

    def start(self, what: str, *more: str) -> subprocess.Popen:
        made = subprocess.Popen(
            [
                *(sys.executable, "-m", "distributed.cli.dask_" + what),
                *("--scheduler-file", str(self.file), *more),
            ],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": TESTS},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(made)
        return made

    def worker(self) -> subprocess.Popen:
        return self.start(
            *("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard"),
            *("--local-directory", str(self.folder)),
        )

    @property
    def address(self) -> str:
        late = time.monotonic() + 60
        while not self.file.exists():
            assert time.monotonic() < late
            time.sleep(0.1)
        return json.loads(self.file.read_text())["address"]

    def close(self) -> None:
        # The scheduler last: workers take their leave of it.
        for each in self.processes[::-1]:
            each.terminate()
            try:
                each.wait(10)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()
