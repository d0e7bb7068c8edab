"""A marker that judges nothing: for tests of storing and scheduling.

What a submission's answer says decides what happens to the worker.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import time
from pathlib import Path

from attncourse.grading.handed_in import submission
from attncourse.grading.model import GradingError, Judged, Outcome
from attncourse.grading.running import marking
from attncourse.grading.running.tasks import Marked


class Standin:
    def __init__(self, setup):
        self.setup = setup
        self.count = 0
        if "refuse" in setup.judge_preload:
            raise GradingError("the mandatory layer must be there: got none")
        if "die" in setup.judge_preload:
            os._exit(3)

    def close(self):
        pass

    def mark(self, task, plan):
        self.count += 1
        try:
            read = submission.read(base64.b64decode(task.data))
        except GradingError as error:
            return Marked(problem=str(error))
        text = "\n".join(cell.source for cell in read.cells)
        for name, argument in re.findall(r"do (\w+) ?(\S*)", text):
            getattr(self, f"do_{name}")(argument)
        told = re.search(r"points ([\d.]+)", text)
        points = float(told[1]) if told else 5.0
        outcome = Outcome(
            student=task.student,
            assignment=plan.assignment,
            questions=tuple(
                Judged(
                    grade_id=test.grade_id,
                    verdict="pass" if points == test.points else "fail",
                    points=min(points, test.points),
                    max_points=test.points,
                    says=f"Judged with {task.seed}.",
                )
                for test in plan.tests
            ),
            notes=(str(os.getpid()),),
            isolation="held by a stand-in",
        )
        script = submission.match(plan, read)
        return marking.finish(task, plan, read, script, outcome)

    def do_die(self, argument):
        os.kill(os.getpid(), signal.SIGKILL)

    def do_die_once(self, argument):
        mark = Path(argument)
        if not mark.exists():
            mark.touch()
            os._exit(7)

    def do_sleep(self, argument):
        time.sleep(float(argument))

    def do_refuse(self, argument):
        raise GradingError("the judges' server has ended")

    def do_fail(self, argument):
        raise RuntimeError("a bug of the grader's own")
