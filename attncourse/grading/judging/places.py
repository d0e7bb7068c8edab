"""One process of a student's, as the judge holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attncourse.grading.inside.wire import Handle
from attncourse.grading.judging.proxies import (
    Holder,
    Proxy,
    ProxyError,
    Ref,
    ref_of,
)

if TYPE_CHECKING:
    from attncourse.grading.sandbox.child import Child

OpenChild = Callable[..., "Child"]


@dataclass(eq=False)
class Place:
    """A process that has run cells, and what was found in it by name.

    `callbacks` says whether calls may bring functions along.
    """

    holder: Holder
    callbacks: bool
    child: Child = field(init=False)
    found: dict[str, Handle] = field(default_factory=dict)

    def open(self, open_child: OpenChild, **options: Any) -> None:
        """Start the process; handles become proxies, and back."""
        self.child = open_child(
            **options, outward=self.outward, inward=self.inward
        )

    @property
    def alive(self) -> bool:
        """Whether the process can still be asked."""
        return self.child.alive

    def inward(self, handle: Handle) -> Proxy:
        """Return what stands in the judge for an object over there."""
        return Proxy(Ref(self.holder, self, handle))

    def outward(self, value: Any) -> Handle | None:
        """Return the object over there that a proxy stands for."""
        if isinstance(value, Handle):
            return value
        if type(value) is not Proxy:
            return None
        return self.handle(ref_of(value))

    def handle(self, ref: Ref) -> Handle:
        """Return an object's handle in this process."""
        if ref.place is self:
            return ref.handle
        if ref.path is None:
            raise ProxyError(
                f"{ref.handle.name} is in a process that has ended, or that "
                "must not be brought a test's function"
            )
        if ref.path not in self.found:
            self.fetch(ref.path)
        if ref.path not in self.found:
            raise ProxyError(f"{ref.path} is no function any more")
        return self.found[ref.path]

    def fetch(self, name: str) -> Any:
        """Return the student's data of this name, or a proxy.

        Raises
        ------
        KeyError
            If the student's cells have not bound the name.
        """
        value = self.child.fetch(name)
        if type(value) is Proxy:
            ref = ref_of(value)
            ref.path = name
            self.found[name] = ref.handle
        else:
            self.found.pop(name, None)
        return value
