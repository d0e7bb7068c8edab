"""A child process, and how it is asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Self

from attncourse.grading.inside.wire import Handle
from attncourse.grading.model import Limits
from attncourse.grading.sandbox.crossing import Crossing
from attncourse.grading.sandbox.line import Line
from attncourse.grading.sandbox.replies import (
    Budget,
    Called,
    ChildLost,
    Usage,
    called,
)

ESCAPED = 6  # characters of JSON in place of one
NOTED = 4_096  # what is said of outputs that were cut


class Process:
    """A forked process of a student's, which answers requests.

    It has a private folder, which the server removes after its end.
    `outward` is asked what Handle a value stands for that is no plain
    data; `inward` says what a Handle in an answer becomes. Once it is
    lost, all requests raise the same `ChildLost`.
    """

    def __init__(
        self,
        address: str,
        *,
        limits: Limits,
        visible: bool,
        seed: int | str,
        room_bytes: int = 0,
        outward: Callable[[Any], Handle | None] | None = None,
        inward: Callable[[Handle], Any] | None = None,
    ) -> None:
        self.limits = limits
        self._crossing = Crossing(outward, inward)
        number = seed if isinstance(seed, int) else int(seed, 16)
        self._line = Line(
            address,
            limits=limits,
            visible=visible,
            seed=number,
            room_bytes=room_bytes,
        )

    @property
    def pid(self) -> int:
        """The process's number here, 0 where it cannot be seen."""
        return self._line.pid

    @property
    def lost(self) -> ChildLost | None:
        """How it was lost, if it was."""
        return self._line.lost

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._line.lost is None and not self._line.closed

    # ---- the end

    def usage(self) -> Usage:
        """Return what the child has used so far."""
        return self._line.usage()

    def close(self) -> Usage:
        """End the child; never raises."""
        return self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- what crosses

    def _ask(
        self,
        request: dict[str, Any],
        budget: Budget | None = None,
        given: tuple[tuple, dict[str, Any]] | None = None,
        *,
        callbacks: bool = False,
        lasting: bool = False,
    ) -> Called:
        """Send a request; answer callbacks; return what came of it.

        `given` are a call's arguments, which come back with the answer.
        Functions that the request brings are answered until it is done,
        or for as long as the child lives.
        """
        budget = budget or Budget(self.limits)
        limits = budget.limits
        request["number"] = number = os.urandom(16)
        request["reply_bytes"] = limits.reply_bytes + limits.output_bytes
        request["output_bytes"] = budget.output_bytes
        data, arguments, functions = self._crossing.request(
            given, request, callbacks=callbacks
        )
        try:
            back, told = self._line.exchange(
                data, arguments, number, budget, self._crossing
            )
        finally:
            if not lasting:
                self._crossing.forget(functions)
        try:
            came = called(told, back)
        except (ValueError, TypeError, KeyError):
            self._line.unreadable()
        if came.outputs:
            # What is recorded there weighs less: see `inside.outputs`.
            most = ESCAPED * budget.output_bytes + NOTED
            if budget.show(came.outputs) > most:
                self._line.unreadable()
        return came
