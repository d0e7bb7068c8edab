"""A child process with a student's namespace, seen from the judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attncourse.grading.model import Limits
from attncourse.grading.replies import (
    Budget,
    Called,
    ChildLost,
    Described,
    Ran,
    Usage,
)

if TYPE_CHECKING:
    from attncourse.grading.inside.wire import Handle


class Child:
    """A forked process that runs cells and answers calls.

    `folder` None lets the server make one and remove it afterwards.
    `outward` is asked what Handle a value stands for that is no plain
    data; `inward` says what a Handle in an answer becomes.
    """

    pid: int
    alive: bool
    lost: ChildLost | None

    def __init__(
        self,
        address: str,
        folder: str | Path | None = None,
        *,
        limits: Limits,
        visible: bool,
        seed: int | str,
        outward: Callable[[Any], Handle | None] | None = None,
        inward: Callable[[Handle], Any] | None = None,
    ) -> None:
        raise NotImplementedError

    def put(self, name: str, data: bytes) -> None:
        """Write a file into the child's folder."""
        raise NotImplementedError

    def run(self, source: str, name: str, limits: Limits | None = None) -> Ran:
        """Run a cell; errors name it as `name`."""
        raise NotImplementedError

    def names(self) -> dict[str, str]:
        """Return the global names that cells have bound, with kinds."""
        raise NotImplementedError

    def fetch(self, name: str) -> Any:
        """Return a global by value or handle; KeyError if there is none."""
        raise NotImplementedError

    def bind(self, name: str, value: Any) -> None:
        """Set a global; a callable stays answered here until the end."""
        raise NotImplementedError

    def call(
        self,
        target: Handle,
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
        *,
        budget: Budget | None = None,
        callbacks: bool = True,
    ) -> Called:
        """Call a function, construct a class, apply a module."""
        raise NotImplementedError

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
        raise NotImplementedError

    def get(
        self, target: Handle, name: str, *, budget: Budget | None = None
    ) -> Called:
        """Read an attribute."""
        raise NotImplementedError

    def set(
        self,
        target: Handle,
        name: str,
        value: Any,
        *,
        budget: Budget | None = None,
    ) -> Called:
        """Write an attribute."""
        raise NotImplementedError

    def items(
        self,
        target: Handle,
        most: int = 10_000,
        *,
        budget: Budget | None = None,
    ) -> Called:
        """Iterate over an object; the value is a list of at most `most`."""
        raise NotImplementedError

    def state(self, target: Handle, *, budget: Budget | None = None) -> Called:
        """Return the `state_dict` of a module as a plain dict."""
        raise NotImplementedError

    def parameters(
        self, target: Handle, *, budget: Budget | None = None
    ) -> Called:
        """Return a module's named parameters as a plain dict."""
        raise NotImplementedError

    def gradient(
        self,
        target: Handle,
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
        cotangents: Any = None,
        *,
        budget: Budget | None = None,
    ) -> Called:
        """Call, run backward inside, and return the gradients."""
        raise NotImplementedError

    def describe(self, target: Handle) -> Described:
        """Return an object's name, docstring and signature."""
        raise NotImplementedError

    def drop(self, *handles: Handle) -> None:
        """Let the child forget objects."""
        raise NotImplementedError

    def usage(self) -> Usage:
        """Return what the child has used so far."""
        raise NotImplementedError

    def close(self) -> Usage:
        """End the child; never raises."""
        raise NotImplementedError

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
