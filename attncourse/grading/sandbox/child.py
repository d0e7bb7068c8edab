"""A child process with a student's namespace, seen from the judge."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, Self

from attncourse.grading.inside import wire
from attncourse.grading.inside.wire import Handle
from attncourse.grading.model import GradingError, Limits
from attncourse.grading.sandbox.crossing import Crossing
from attncourse.grading.sandbox.line import Line
from attncourse.grading.sandbox.replies import (
    Budget,
    Called,
    ChildLost,
    Described,
    Ran,
    Usage,
    called,
)

ESCAPED = 6  # characters of JSON in place of one
NOTED = 4_096  # what is said of outputs that were cut


class NotPut(GradingError):
    """A file that a student's folder does not take."""


class Child:
    """A forked process that runs cells and answers calls.

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

    # ---- cells and names

    def put(self, name: str, data: bytes) -> None:
        """Write a file into the child's folder; raise `NotPut`."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise NotPut(f"a file must be put into the folder: {name}")
        failed = self._ask({"do": "put", "name": name, "data": data}).failed
        if failed is not None:
            raise NotPut(failed.message)

    def prepare(self, source: str) -> None:
        """Run code of the grader's own, before any cell."""
        self._ask({"do": "prepare", "source": source})

    def run(self, source: str, name: str, limits: Limits | None = None) -> Ran:
        """Run a cell; errors name it as `name`."""
        budget = Budget(limits or self.limits)
        request = {"do": "run", "source": source, "name": name}
        called = self._ask(request, budget)
        return Ran(
            outputs=called.outputs,
            failed=called.failed,
            cpu_s=called.cpu_s,
            wall_s=called.wall_s,
        )

    def names(self) -> dict[str, str]:
        """Return the global names that cells have bound, with kinds."""
        told = self._ask({"do": "names"}).value
        if type(told) is not dict or not all(
            type(text) is str for pair in told.items() for text in pair
        ):
            self._line.unreadable()
        return told

    def settle(self) -> None:
        """See that it answered what it was asked, and nothing else."""
        self._ask({"do": "nothing"})

    def fetch(self, name: str) -> Any:
        """Return a global by value or handle; KeyError if there is none."""
        called = self._ask({"do": "fetch", "name": name})
        if called.failed is None:
            return called.value
        if called.failed.builtin == "KeyError":
            raise KeyError(name)
        raise wire.WireError(called.failed.message)

    def bind(self, name: str, value: Any) -> None:
        """Set a global; a callable stays answered here until the end."""
        request = {"do": "bind", "name": name, "value": value}
        self._ask(request, callbacks=True, lasting=True)

    # ---- objects

    def call(
        self,
        target: Handle,
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
        *,
        budget: Budget | None = None,
        callbacks: bool = True,
        fresh: bool = False,
    ) -> Called:
        """Call a function, construct a class, apply a module.

        A `fresh` call is one of a copy that shares no state.
        """
        request: dict[str, Any] = {"do": "call", "target": target}
        if fresh:
            request["fresh"] = True
        given = args, {} if kwargs is None else kwargs
        return self._ask(request, budget, given, callbacks=callbacks)

    def method(
        self,
        target: Handle,
        name: str,
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
        *,
        budget: Budget | None = None,
        callbacks: bool = True,
    ) -> Called:
        """Call a method of an object."""
        request = {"do": "call", "target": target, "method": name}
        given = args, {} if kwargs is None else kwargs
        return self._ask(request, budget, given, callbacks=callbacks)

    def gradient(
        self,
        target: Handle,
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
        cotangents: Any = None,
        *,
        budget: Budget | None = None,
        callbacks: bool = True,
    ) -> Called:
        """Call, run backward inside, and return the gradients.

        `cotangents` are the loss's gradients in the results; None stands
        for ones.
        """
        request = {"do": "gradient", "target": target}
        request["cotangents"] = cotangents
        given = args, {} if kwargs is None else kwargs
        return self._ask(request, budget, given, callbacks=callbacks)

    def get(
        self, target: Handle, name: str, *, budget: Budget | None = None
    ) -> Called:
        """Read an attribute."""
        request = {"do": "get", "target": target, "name": name}
        return self._ask(request, budget)

    def set(
        self,
        target: Handle,
        name: str,
        value: Any,
        *,
        budget: Budget | None = None,
    ) -> Called:
        """Write an attribute."""
        request = {"do": "set", "target": target, "name": name}
        return self._ask(request | {"value": value}, budget)

    def items(
        self,
        target: Handle,
        most: int = 10_000,
        *,
        budget: Budget | None = None,
    ) -> Called:
        """Iterate over an object; the value is a list of at most `most`.

        Of an iterator these are the next ones.
        """
        request = {"do": "items", "target": target, "most": most}
        return self._ask(request, budget)

    def state(self, target: Handle, *, budget: Budget | None = None) -> Called:
        """Return the `state_dict` of a module as a plain dict."""
        return self._ask({"do": "state", "target": target}, budget)

    def parameters(
        self, target: Handle, *, budget: Budget | None = None
    ) -> Called:
        """Return a module's named parameters as a plain dict."""
        return self._ask({"do": "parameters", "target": target}, budget)

    def describe(self, target: Handle) -> Described:
        """Return an object's name, docstring and signature."""
        called = self._ask({"do": "describe", "target": target})
        told = called.value if type(called.value) is dict else {}
        known = ("name", "doc", "signature", "kind")
        texts = {key: told[key] for key in known if type(told.get(key)) is str}
        return Described(**texts)

    def drop(self, *handles: Handle) -> None:
        """Let the child forget objects."""
        self._ask({"do": "drop", "numbers": [each.id for each in handles]})

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
