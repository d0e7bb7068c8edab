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
# What goes together, at most: the process holds all of it at once.
MOST_BYTES = 1 << 20


class Several:
    """Requests for the first calls of a function; reads their answers.

    Raises `CallbackRefused` where a call brings a function along: that is
    answered only until its own call has ended.
    """

    def __init__(
        self, crossing: Crossing, target: Handle, given: Sequence[Given]
    ) -> None:
        self._crossing = crossing
        self._arguments: list[Arguments] = []
        self.messages: list[bytes] = []
        together = 0
        for each in given:
            data, arguments, _ = crossing.request(
                each, {"target": target}, callbacks=False
            )
            together += len(data)
            if self.messages and together > MOST_BYTES:
                break
            self._arguments.append(arguments)
            self.messages.append(data)

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
