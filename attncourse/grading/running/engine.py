"""Grade many submissions at once, losing none of them."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attncourse.grading.model import GradingError, Plan
from attncourse.grading.running.tasks import Marked, Setup, Task
from attncourse.grading.running.workers import Worker, WorkerLost

TRIES = 2
# Submissions that wait beside those at work: no worker waits for us, and
# no more than these are in memory.
AHEAD = 2

Said = Callable[[str, str], None]


class Grader:
    """Marks submissions in worker processes.

    Parameters
    ----------
    setup : of each worker.
    workers : how many; as many as there are processors by default.
    say : told ``(student, what)`` when a worker was lost.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        workers: int | None = None,
        say: Said | None = None,
    ):
        self.setup = setup
        self.count = workers or len(os.sched_getaffinity(0))
        self.say = say or (lambda student, what: None)
        self.isolation = ""

    def grade(
        self, tasks: Iterable[Task], plans: Mapping[str, Plan]
    ) -> Iterator[tuple[Task, Marked]]:
        """Give each task with what came of it, as they finish.

        Tasks are taken only as workers need them. Ending the iteration, by
        whatever exception, ends all processes.
        """
        run = _Run(self, plans)
        try:
            yield from run.results(iter(tasks))
        finally:
            run.end()


class _Run:
    """The threads of a run; each has at most one worker."""

    def __init__(self, grader: Grader, plans: Mapping[str, Plan]):
        self.grader = grader
        self.plans = plans
        self.todo: queue.Queue[Task | None] = queue.Queue()
        self.done: queue.Queue[Any] = queue.Queue()
        self.threads: list[threading.Thread] = []
        self.workers: set[Worker] = set()
        self.lock = threading.Lock()
        self.ended = False

    def results(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Marked]]:
        flying = 0
        more = True
        while True:
            while more and flying < self.grader.count + AHEAD:
                task = next(tasks, None)
                if task is None:
                    more = False
                    break
                self.todo.put(task)
                flying += 1
                if len(self.threads) < min(flying, self.grader.count):
                    self._start()
            if not flying:
                return
            came = self.done.get()
            if isinstance(came, BaseException):
                raise came
            flying -= 1
            yield came

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _work(self) -> None:
        worker: Worker | None = None
        try:
            while (task := self.todo.get()) is not None and not self.ended:
                marked = None
                for left in reversed(range(TRIES)):
                    try:
                        worker = worker or self._worker()
                        marked = worker.mark(task, self.plans[task.plan])
                        break
                    except WorkerLost as error:
                        if self.ended:
                            return
                        self._forget(worker)
                        worker = None
                        self.grader.say(task.student, str(error))
                        if not left:
                            marked = self._lost(task, str(error))
                self.done.put((task, marked))
        except BaseException as error:
            self.done.put(error)
        finally:
            self._forget(worker)

    def _lost(self, task: Task, why: str) -> Marked:
        # What makes pages takes a while to import, and is rarely needed.
        from attncourse.grading.running.marking import lost

        return lost(task, self.plans[task.plan], why)

    def _worker(self) -> Worker:
        try:
            made = Worker(self.grader.setup)
        except WorkerLost as error:
            raise GradingError(f"a worker must start: {error}") from None
        with self.lock:
            self.workers.add(made)
            self.grader.isolation = made.isolation
            ended = self.ended
        if ended:
            self._forget(made)
            raise WorkerLost("the run has ended")
        return made

    def _forget(self, worker: Worker | None) -> None:
        if worker is not None:
            with self.lock:
                self.workers.discard(worker)
            worker.close()

    def end(self) -> None:
        """End all threads and all processes."""
        for _ in self.threads:
            self.todo.put(None)
        with self.lock:
            self.ended = True
            for worker in self.workers:
                # Its thread sees the end of the process, and closes.
                worker.process.terminate()
        for thread in self.threads:
            thread.join()
