"""The judges' fork server: it holds the packages, and forks a judge a job.

Started as a program by `judging.JudgeServer`. It reads what to judge on a
connection, forks, and passes on what the judge reports; it looks into
nothing that a student wrote.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path, PurePosixPath
from typing import Any

from attncourse.grading.inside import isolate, pages, tree
from attncourse.grading.inside.shell import Shell
from attncourse.grading.judging.judge import judge
from attncourse.grading.judging.names import Needs, needs
from attncourse.grading.judging.rehearsal import rehearse
from attncourse.grading.judging.steps import widest
from attncourse.grading.model import GradingError, Job, Judged, Plan
from attncourse.grading.sandbox.holding import held_folder, remove_abandoned

PREFIX = "grading-judge-"
MOST_PLANS = 16
# What a judge may hold of answers at once, in the largest answer's size.
ANSWERS = 8


class JudgeForks:
    """Forks a judge for each job that comes on `owner`."""

    def __init__(self, owner: Connection, settings: Mapping[str, Any]) -> None:
        self.owner = owner
        self.plans: dict[str, tuple[Plan, dict[str, Needs]]] = {}
        remove_abandoned(PREFIX)
        self.folder, self.lock = held_folder(PREFIX)
        for name in settings["preload"]:
            importlib.import_module(name)
        package = Path(__file__).parents[2]
        readable = tree.readable((), (package, *settings["readable"]))
        self.prepared = isolate.Prepared(readable, trust=settings["trust"])
        self.shell = Shell(visible=True)
        self.known = set(sys.modules)
        self._settle()
        pages.use_large()

    def serve(self) -> None:
        """Do what comes, until the owner is gone."""
        try:
            while True:
                self._settle()
                message = json.loads(self.owner.recv_bytes())
                self._keep_plan(message)
                told = self._judged(message)
                self.owner.send_bytes(json.dumps(told).encode())
                self._learn(told.get("modules", ()))
        except (EOFError, OSError):
            pass
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _keep_plan(self, message: dict[str, Any]) -> None:
        """Read a plan once for all who hand something in."""
        if "plan" not in message:
            return
        if len(self.plans) >= MOST_PLANS:
            self.plans.clear()
        plan = Plan.from_json(message["plan"])
        self.plans[message["key"]] = plan, needs(plan)
        rehearse(plan, self.shell)

    def _judged(self, message: dict[str, Any]) -> dict[str, Any]:
        """Fork a judge, and return what it told until its end."""
        if message["key"] not in self.plans:
            return {"ended": "unknown plan"}
        hear, tell = os.pipe()
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            pid = os.fork()
            if pid == 0:
                os.close(hear)
                self._become(message, Connection(tell, readable=False), folder)
            os.close(tell)
            with Connection(hear, writable=False) as events:
                return self._heard(pid, events, message["seconds"])

    def _heard(
        self, pid: int, events: Connection, seconds: float
    ) -> dict[str, Any]:
        told: dict[str, Any] = {"judged": []}
        late = time.monotonic() + seconds
        try:
            while True:
                left = max(0.0, late - time.monotonic())
                ready = wait([events, self.owner], left)
                if events in ready:
                    what, data = json.loads(events.recv_bytes())
                    if what == "judged":
                        told["judged"].append(data)
                    else:
                        told[what] = data
                elif not ready:
                    told["ended"] = "late"
                    break
                else:
                    raise EOFError("the owner is gone")
        except (EOFError, OSError, ValueError):
            if events.closed or self.owner.poll():
                raise
        finally:
            status = _ended(pid)
        told.setdefault("ended", f"with status {status}")
        return told

    def _become(
        self, message: dict[str, Any], events: Connection, folder: str
    ) -> None:
        """Be a judge; never come back into the server's loop."""
        status = 1
        try:
            _live(self, message, events, folder)
            status = 0
        except BaseException as error:
            kind = "refused" if isinstance(error, GradingError) else "failed"
            text = f"{type(error).__name__}: {error}"
            with contextlib.suppress(BaseException):
                _send(events, kind, text[:2_000])
        finally:
            os._exit(status)

    def _learn(self, modules: Any) -> None:
        """Import what a judge had to import; the next one has it then."""
        for name in modules:
            if name not in self.known:
                self.known.add(name)
                with contextlib.suppress(Exception):
                    importlib.import_module(name)

    def _settle(self) -> None:
        gc.collect()
        gc.freeze()


def _live(
    server: JudgeForks,
    message: dict[str, Any],
    events: Connection,
    folder: str,
) -> None:
    gc.disable()  # a judge's life is short
    pages.use_small()
    plan, wanted = server.plans[message["key"]]
    job = Job.from_json(message["job"] | {"plan": None})
    job = replace(job, plan=plan)
    limits = widest(job)
    memory = limits.memory_bytes + ANSWERS * limits.reply_bytes
    os.chdir(folder)
    os.environ |= {"HOME": folder, "TMPDIR": folder}
    lay(job, Path(folder))
    tempfile.tempdir = None
    isolate.enter_judge(
        server.prepared,
        limits=replace(limits, memory_bytes=memory),
        folder=folder,
        keep=[events.fileno()],
    )
    before = set(sys.modules)
    outcome = judge(
        job,
        sandbox_address=message["address"],
        shell=server.shell,
        wanted=wanted,
        closed=[Judged.from_json(each) for each in message["closed"]],
        report=lambda what, data: _send(events, what, data),
    )
    _send(events, "modules", sorted(set(sys.modules) - before))
    _send(events, "outcome", outcome.to_json())


def lay(job: Job, folder: Path) -> None:
    """Lay an instructor's files where tests find them, no student's."""
    for name in job.given_files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or name not in job.files:
            continue
        file = folder / path
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(base64.b64decode(job.files[name]))
    if job.given_files:
        sys.path.append(str(folder))


def _send(events: Connection, what: str, data: Any) -> None:
    data = data.to_json() if hasattr(data, "to_json") else data
    events.send_bytes(json.dumps([what, data]).encode())


def _ended(pid: int) -> int:
    """End a judge that still runs, and return how it ended."""
    with contextlib.suppress(ProcessLookupError):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(handle: int) -> None:
    """Start, tell the owner, and serve."""
    owner = Connection(handle)
    os.set_inheritable(handle, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = json.loads(owner.recv_bytes())
    try:
        server = JudgeForks(owner, settings)
    except (isolate.IsolationError, ImportError) as error:
        owner.send_bytes(json.dumps({"refused": str(error)}).encode())
        return
    owner.send_bytes(json.dumps({"ready": True}).encode())
    server.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
