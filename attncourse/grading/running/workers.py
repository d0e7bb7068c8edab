"""A worker: a process that marks one submission after the other.

It is started as a program, never forked, so that whoever starts it may
have threads. JSON goes both ways through a socket; when its other end
closes, however that came about, the worker ends with all its processes.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from attncourse.grading.model import GradingError, Plan
from attncourse.grading.running.tasks import Marked, Setup, Task

START_S = 120.0
END_S = 10.0
# A judge keeps the limits of its cells; this is for when it does not.
SPARE_S = 300.0
SPARE_FACTOR = 12.0


class WorkerLost(Exception):
    """A worker that died or hangs; the message says how."""


class Worker:
    """The other end of a worker process."""

    def __init__(self, setup: Setup):
        own, its = socket.socketpair()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - see close
        self.known: set[str] = set()
        with its:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(its.fileno())],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self.errors,
                stderr=self.errors,
                # The terminal's Ctrl-C is for the grader, which tells us.
                start_new_session=True,
            )
        self.connection = Connection(own.detach())
        try:
            told = self._ask(setup.to_json(), START_S)
        except BaseException:
            self.close()
            raise
        if "error" in told:
            self.close()
            raise GradingError(told["error"])
        self.isolation = str(told.get("isolation", ""))

    def mark(self, task: Task, plan: Plan) -> Marked:
        """Return what came of a submission.

        Raises
        ------
        WorkerLost
            If the worker dies or does not answer; it is of no use then.
        """
        message: dict[str, Any] = {"task": task.to_json()}
        if task.plan not in self.known:
            message["plan"] = plan.to_json()
        wall_s = sum(cell.limits.wall_s for cell in plan.cells)
        told = self._ask(message, SPARE_S + SPARE_FACTOR * wall_s)
        self.known.add(task.plan)
        if "failed" in told:
            raise WorkerLost(told["failed"])
        return Marked.from_json(told)

    def _ask(self, message: dict[str, Any], wait_s: float) -> dict[str, Any]:
        try:
            self.connection.send_bytes(json.dumps(message).encode())
            if not self.connection.poll(wait_s):
                raise WorkerLost(f"it gave no answer in {wait_s:.0f} s")
            return json.loads(self.connection.recv_bytes())
        except (EOFError, OSError, ValueError) as error:
            raise WorkerLost(self._last_words() or str(error)) from None

    def _last_words(self) -> str:
        """Return how a worker ended, with the end of what it said."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        code = self.process.returncode
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - 2000))
        said = self.errors.read().decode(errors="replace").strip()
        return f"it ended with {code}: {said}" if said else f"ended: {code}"

    def close(self, wait_s: float = END_S) -> None:
        """End the worker and all that it started."""
        self.connection.close()
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()


def main(handle: int) -> None:
    """Be a worker, at this end of a socket."""
    connection = Connection(handle)
    os.set_inheritable(handle, False)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_watch, args=(handle,), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        setup = Setup.from_json(json.loads(connection.recv_bytes()))
        try:
            marker = _marker(setup)
        except GradingError as error:
            connection.send_bytes(json.dumps({"error": str(error)}).encode())
            return
        try:
            _serve(connection, marker)
        finally:
            marker.close()


def _marker(setup: Setup) -> Any:
    module, _, name = setup.marker.partition(":")
    return getattr(importlib.import_module(module), name)(setup)


def _serve(connection: Connection, marker: Any) -> None:
    level = getattr(getattr(marker, "sandbox", None), "isolation", None)
    ready = {"isolation": str(getattr(level, "level", ""))}
    connection.send_bytes(json.dumps(ready).encode())
    plans: dict[str, Plan] = {}
    while True:
        message = json.loads(connection.recv_bytes())
        task = Task.from_json(message["task"])
        if "plan" in message:
            plans[task.plan] = Plan.from_json(message["plan"])
        try:
            told = marker.mark(task, plans[task.plan]).to_json()
        except GradingError as error:
            # Its servers are of no use any more, and so neither is it.
            told = {"failed": str(error)}
        connection.send_bytes(json.dumps(told).encode())


def _stop(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(1)


def _watch(handle: int) -> None:
    """End this process when nobody is there any more to answer to."""
    poll = select.poll()
    poll.register(handle, select.POLLRDHUP | select.POLLHUP)
    while not poll.poll():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_S / 2)
    os._exit(1)


if __name__ == "__main__":
    # An optional part of what checks JSON; it takes a second to import.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    main(int(sys.argv[1]))
