"""Several calls of one function in one exchange with a child.

Each call has a message of its own, as if it had been sent alone, and so has
what came of it; only the way there and back is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attncourse.grading.inside import wire
from attncourse.grading.inside.arguments import Arguments
from attncourse.grading.inside.wire import Handle
from attncourse.grading.sandbox.crossing import Crossing
from attncourse.grading.sandbox.replies import Called, called

Given = tuple[tuple, dict[str, Any]]


class Several:
    """Requests for calls of one function, and how to read their answers."""

    def __init__(
        self,
        crossing: Crossing,
        target: Handle,
        given: Sequence[Given],
        *,
        callbacks: bool,
    ) -> None:
        self._crossing = crossing
        self._arguments: list[Arguments] = []
        self._functions: list[int] = []
        self.messages: list[bytes] = []
        try:
            for each in given:
                data, arguments, functions = crossing.request(
                    each, {"target": target}, callbacks=callbacks
                )
                self._functions += functions
                self._arguments.append(arguments)
                self.messages.append(data)
        except BaseException:
            self.forget()
            raise

    def read(
        self, told: Any, limits: wire.WireLimits, unreadable: Callable
    ) -> list[Called]:
        """Return what came of the calls, or of the first few.

        `unreadable` raises, and is called where the child broke the rules.
        """
        if type(told) is not list or len(told) > len(self.messages):
            unreadable()
        found = []
        for data, before in zip(told, self._arguments, strict=False):
            try:
                back, message = self._crossing.read(data, limits, before)
                spent = {"cpu_s": 0.0, "wall_s": 0.0}
                found.append(called(message | spent, back.value))
            except (wire.WireError, ValueError, TypeError, KeyError):
                unreadable()
        return found

    def forget(self) -> None:
        """Answer the functions that the calls brought no more."""
        self._crossing.forget(self._functions)
        self._functions = []
