"""The sandbox: a server that forks isolated children, and its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attncourse.grading.child import Child
from attncourse.grading.replies import (
    Budget,
    CallbackRefused,
    Called,
    ChildLost,
    Described,
    Failed,
    Ran,
    Usage,
)

if TYPE_CHECKING:
    from attncourse.grading.inside.isolate import Isolation

__all__ = [
    "Budget",
    "CallbackRefused",
    "Called",
    "Child",
    "ChildLost",
    "Described",
    "Failed",
    "Ran",
    "Sandbox",
    "Usage",
]


class Sandbox:
    """A fork server of a worker: preloads packages, forks children.

    Raises GradingError where the mandatory isolation is missing, unless
    `trust_students`. `address` stays the same when the server restarts.
    """

    address: str
    isolation: Isolation

    def __init__(
        self,
        *,
        preload: tuple[str, ...] = ("numpy",),
        stubs: tuple[str, ...] = ("attncourse",),
        silent: tuple[str, ...] = ("check",),
        trust_students: bool = False,
        readable: tuple[str, ...] = (),
    ) -> None:
        raise NotImplementedError

    def check(self) -> None:
        """Start the server again if it has died."""
        raise NotImplementedError

    def close(self) -> None:
        """End the server and its children, and remove its folder."""
        raise NotImplementedError

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
