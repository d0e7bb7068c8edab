"""A child process with a student's namespace, seen from the judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from attncourse.grading.inside import wire
from attncourse.grading.inside.wire import Handle
from attncourse.grading.model import GradingError, Limits
from attncourse.grading.sandbox.line import wire_limits
from attncourse.grading.sandbox.process import Process
from attncourse.grading.sandbox.replies import (
    Budget,
    Called,
    Described,
    Ran,
)
from attncourse.grading.sandbox.several import Several


class NotPut(GradingError):
    """A file that a student's folder does not take."""


class Child(Process):
    """A forked process that runs cells and answers calls."""

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

    def calls(
        self,
        target: Handle,
        given: Sequence[tuple[tuple, dict[str, Any]]],
        *,
        budget: Budget,
    ) -> list[Called]:
        """Call a function several times; return what came of the first ones.

        That is of all, unless much data goes there or comes back. No call
        may bring a function along.
        """
        several = Several(self._crossing, target, given)
        request = {"do": "calls", "calls": several.messages}
        came = self._ask(request, budget)
        if came.failed is not None:
            return []
        limits = wire_limits(budget.limits)
        return several.read(came.value, limits, self._line.unreadable)

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
