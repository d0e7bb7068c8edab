"""Mark submissions on an existing Dask cluster.

Only bytes of JSON cross, and no key: seeds are derived here. Each thread
of a Dask worker keeps one worker process of ours, started as a program,
since a process that has threads must not fork.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attncourse.grading.model import GradingError, Plan
from attncourse.grading.running.content import environment_key
from attncourse.grading.running.tasks import Marked, Setup, Task
from attncourse.grading.running.workers import Worker, WorkerLost

if TYPE_CHECKING:
    import distributed

CONNECT_S = 20.0
# How often a submission may be on a Dask worker that dies.
DEATHS = 2
AHEAD = 2

Said = Callable[[str, str], None]


class Cluster:
    """Marks submissions as `engine.Grader` does, on other machines.

    Parameters
    ----------
    scheduler : the address of Dask's scheduler, such as tcp://host:8786.
    setup : of the worker processes.
    say : told ``(student, what)`` when a worker was lost.
    """

    def __init__(
        self, scheduler: str, setup: Setup, *, say: Said | None = None
    ):
        self.setup = setup
        self.say = say or (lambda student, what: None)
        self.isolation = ""
        self.client = _client(scheduler)
        self.here = grader_key()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; it ends the worker processes that it keeps."""
        with contextlib.suppress(OSError, TimeoutError):
            self.client.run(close_workers)
        self.client.close(timeout=5)

    def grade(
        self, tasks: Iterable[Task], plans: Mapping[str, Plan]
    ) -> Iterator[tuple[Task, Marked]]:
        """Give each task with what came of it, as they finish."""
        from distributed import as_completed

        waiting = iter(tasks)
        flying: dict[Any, Task] = {}
        finished = as_completed(loop=self.client.loop)
        try:
            while True:
                self._submit(waiting, plans, flying, finished)
                if not flying:
                    return
                future = next(finished)
                task = flying.pop(future)
                yield task, self._result(future, task, plans[task.plan])
        finally:
            for future in flying:
                future.cancel()

    def _submit(
        self,
        waiting: Iterator[Task],
        plans: Mapping[str, Plan],
        flying: dict[Any, Task],
        finished: Any,
    ) -> None:
        threads = sum(self.client.nthreads().values())
        while len(flying) < max(1, threads) + AHEAD:
            task = next(waiting, None)
            if task is None:
                return
            message = {
                "setup": self.setup.to_json(),
                "task": task.to_json(),
                "plan": plans[task.plan].to_json(),
                "grader": self.here,
            }
            future = self.client.submit(
                mark, json.dumps(message).encode(), pure=False
            )
            flying[future] = task
            finished.add(future)

    def _result(self, future: Any, task: Task, plan: Plan) -> Marked:
        from distributed import KilledWorker

        try:
            told = json.loads(future.result())
        except KilledWorker as error:
            self.say(task.student, str(error))
            return _lost(task, plan, "the cluster's workers died")
        if "error" in told:
            raise GradingError(f"on the cluster: {told['error']}")
        self.isolation = told["isolation"]
        for what in told["said"]:
            self.say(task.student, what)
        if told["marked"] is None:
            return _lost(task, plan, told["said"][-1])
        return Marked.from_json(told["marked"])


def _lost(task: Task, plan: Plan, why: str) -> Marked:
    from attncourse.grading.running.marking import lost

    return lost(task, plan, why)


def _client(scheduler: str) -> distributed.Client:
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise GradingError(
            'grading on a cluster needs Dask: pip install "attncourse[dask]"'
        ) from error
    try:
        return distributed.Client(
            scheduler, timeout=CONNECT_S, set_as_default=False
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise GradingError(
            f"a Dask scheduler must answer at {scheduler}: got {error}"
        ) from None


# ---- what runs in the processes of the cluster -----------------------------

_idle: dict[str, list[Worker]] = {}
_lock = threading.Lock()


@functools.cache
def grader_key() -> str:
    """Return a digest of the grader that this process has loaded."""
    return environment_key((), None)


def mark(message: bytes) -> bytes:
    """Mark one submission in a Dask worker: JSON in, JSON out."""
    asked = json.loads(message)
    if asked["grader"] != grader_key():
        return _told(
            error="its attncourse, Python or packages differ from those here"
        )
    task = Task.from_json(asked["task"])
    plan = Plan.from_json(asked["plan"])
    said: list[str] = []
    for _ in range(DEATHS):
        try:
            worker = _take(asked["setup"])
        except GradingError as error:
            return _told(error=str(error))
        except WorkerLost as error:
            return _told(error=f"a worker must start: got {error}")
        try:
            marked = worker.mark(task, plan)
        except WorkerLost as error:
            worker.close()
            said.append(str(error))
            continue
        _give(asked["setup"], worker)
        return _told(
            marked=marked.to_json(), said=said, isolation=worker.isolation
        )
    return _told(marked=None, said=said, isolation="")


def _told(**what: Any) -> bytes:
    return json.dumps(what).encode()


def _take(setup: dict[str, Any]) -> Worker:
    with _lock:
        idle = _idle.setdefault(json.dumps(setup), [])
        if idle:
            return idle.pop()
    return Worker(Setup.from_json(setup))


def _give(setup: dict[str, Any], worker: Worker) -> None:
    with _lock:
        _idle.setdefault(json.dumps(setup), []).append(worker)


@atexit.register
def close_workers() -> None:
    """End the worker processes that are kept here."""
    with _lock:
        found = [worker for idle in _idle.values() for worker in idle]
        _idle.clear()
    for worker in found:
        worker.close()
