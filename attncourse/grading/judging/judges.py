"""Judges as processes: a fork server, and a fresh judge for each job."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from attncourse.grading.model import (
    GradingError,
    Job,
    Judged,
    Outcome,
    Plan,
    SourceCell,
    Verdict,
)

if TYPE_CHECKING:
    from attncourse.grading.sandbox.owner import Sandbox

START_S = 120.0
END_S = 5.0
# A judge sees to its limits; this is for one that hangs all the same.
SPARE_S = 20.0
RUNS = 3.0
GONE = "the judges' server has ended"


class JudgeServer:
    """A fork server of a worker: each submission gets a fresh judge.

    `preload` names modules that tests import (what a judge had to import
    is remembered, too); `readable` are further files for the tests. A
    judge that dies or hangs costs the question it was at, no other.

    Raises
    ------
    GradingError
        If it cannot be started, or must not: see `trust_students`.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = (),
        readable: Sequence[str | Path] = (),
        trust_students: bool = False,
    ) -> None:
        self._settings = {
            "preload": list(preload),
            "readable": [str(path) for path in readable],
            "trust": trust_students,
        }
        self._process: subprocess.Popen | None = None
        self._plans: dict[int, tuple[Plan, str]] = {}
        self._start()

    def check(self) -> None:
        """Start the server again if it has died."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()

    def judge(self, job: Job, sandbox_address: str) -> Outcome:
        """Return what came of one submission.

        Raises
        ------
        GradingError
            If the sandbox or this server has ended meanwhile.
        """
        closed: dict[str, Judged] = {}
        flags: list[str] = []
        wall_s = SPARE_S + sum(cell.limits.wall_s for cell in job.plan.cells)
        late = time.monotonic() + 2 * RUNS * wall_s
        outputs: dict[str, list] = {}
        while True:
            left = min(RUNS * wall_s, late - time.monotonic())
            told = self._told(job, sandbox_address, closed, left)
            if "outcome" in told:
                outcome = Outcome.from_json(told["outcome"])
                return replace(outcome, flags=(*outcome.flags, *flags))
            if "refused" in told:
                raise GradingError(told["refused"])
            outputs = told.get("outputs", outputs)
            for each in map(Judged.from_json, told["judged"]):
                closed[each.grade_id] = each
            why = str(told.get("failed", told["ended"]))
            flags.append(f"the judge ended before its time: {why}")
            guilty = told.get("at")
            if guilty is None or guilty in closed or left <= 0:
                return _given_up(job, closed, outputs, why, flags)
            closed[guilty] = _lost(job.plan.cell(guilty), why)

    def _told(
        self,
        job: Job,
        address: str,
        closed: dict[str, Judged],
        seconds: float,
    ) -> dict[str, Any]:
        """Have a judge at work, and return what it told until its end."""
        message = {
            "key": self._key(job.plan),
            "address": address,
            "closed": [each.to_json() for each in closed.values()],
            "seconds": max(0.0, seconds),
            "job": replace(job, plan=None).to_json(),  # type: ignore[arg-type]
        }
        told = self._ask(message, seconds + SPARE_S)
        if told.get("ended") == "unknown plan":
            message["plan"] = job.plan.to_json()
            told = self._ask(message, seconds + SPARE_S)
        return told

    def _key(self, plan: Plan) -> str:
        """Return a name for a plan, which is sent only once."""
        if id(plan) not in self._plans:
            if len(self._plans) > 100:
                self._plans.clear()
            name = f"{len(self._plans)} {time.monotonic_ns()}"
            self._plans[id(plan)] = plan, name
        return self._plans[id(plan)][1]

    def _ask(self, message: dict[str, Any], wait_s: float) -> dict[str, Any]:
        try:
            self._connection.send_bytes(json.dumps(message).encode())
            if not self._connection.poll(wait_s):
                raise OSError(f"it gave no answer in {wait_s:.0f} s")
            return json.loads(self._connection.recv_bytes())
        except (EOFError, OSError, ValueError) as error:
            why = self._last_words()
            self.close()
            raise GradingError(f"{GONE}: {why or error}") from None

    def _start(self) -> None:
        own, its = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - see close
        with its:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m"),
                    "attncourse.grading.judging.judge_server",
                    str(its.fileno()),
                ],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env=_environment(),
                start_new_session=True,
            )
        self._connection = Connection(own.detach())
        told = self._ask(self._settings, START_S)
        if "refused" in told:
            self.close()
            raise GradingError(
                "a judge must be held by Landlock and seccomp, or students "
                f"trusted by --trust-students: got {told['refused']}"
            )

    def _last_words(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2_000))
        return self._errors.read().decode(errors="replace").strip()

    def close(self) -> None:
        """End the server and a judge at work."""
        if self._process is None:
            return
        process, self._process = self._process, None
        self._connection.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def grade_job(
    job: Job, sandbox: Sandbox, judge_server: JudgeServer
) -> Outcome:
    """Return what came of one submission, with the level of isolation.

    What a worker does for each job: both servers are looked after first,
    and if one ends meanwhile, all is done once more.
    """
    for again in (True, False):
        sandbox.check()
        judge_server.check()
        try:
            outcome = judge_server.judge(job, sandbox.address)
            break
        except GradingError:
            if not again:
                raise
    return replace(outcome, isolation=sandbox.isolation.level)


def _given_up(
    job: Job,
    closed: dict[str, Judged],
    outputs: dict[str, list],
    why: str,
    flags: list[str],
) -> Outcome:
    """Return what is known, where no judge comes to the end."""
    return Outcome(
        student=job.student,
        assignment=job.plan.assignment,
        questions=tuple(
            closed.get(cell.grade_id or "") or _lost(cell, why)
            for cell in job.plan.tests
        ),
        outputs=outputs,
        notes=job.script.notes,
        flags=(*job.script.flags, *flags),
    )


def _lost(cell: SourceCell, why: str) -> Judged:
    """Return what stands for a question at which a judge was lost."""
    verdict: Verdict = "timeout" if why == "late" else "crashed"
    return Judged(
        grade_id=cell.grade_id or "",
        verdict=verdict,
        points=0.0,
        max_points=cell.points,
        says="The test could not be brought to its end; the instructor is "
        "told.",
        flags=(f"the judge was lost at this question: {why}",),
    )


def _environment() -> dict[str, str]:
    """Return the environment of judges: one thread, the same each time."""
    return os.environ | {
        "MKL_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
