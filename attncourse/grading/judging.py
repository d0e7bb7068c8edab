"""Judges as processes: a fork server, and a fresh judge for each job."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from attncourse.grading.model import Job, Outcome

if TYPE_CHECKING:
    from attncourse.grading.sandbox import Sandbox


class JudgeServer:
    """A fork server of a worker: each submission gets a fresh judge.

    `preload` names modules that tests import (they are imported once). A
    judge that dies or hangs costs the question it was at, no other.
    """

    def __init__(
        self,
        *,
        preload: tuple[str, ...] = (),
        trust_students: bool = False,
    ) -> None:
        raise NotImplementedError

    def check(self) -> None:
        """Start the server again if it has died."""
        raise NotImplementedError

    def judge(self, job: Job, sandbox_address: str) -> Outcome:
        """Return what came of one submission; always returns one."""
        raise NotImplementedError

    def close(self) -> None:
        """End the server and a judge at work."""
        raise NotImplementedError

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

    What a worker does for each job: both servers are looked after first.
    """
    raise NotImplementedError
