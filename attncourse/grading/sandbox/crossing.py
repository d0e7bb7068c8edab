"""What crosses between the judge and a child, besides plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from attncourse.grading.inside import wire
from attncourse.grading.inside.naming import named
from attncourse.grading.inside.wire import Callback, Handle
from attncourse.grading.model import GradingError
from attncourse.grading.sandbox.replies import CallbackRefused, ChildLost

ANY_SIZE = 1 << 40  # the judge decides itself how much it sends
TOO_LATE = RuntimeError(
    "a function that came as an argument can be called only until the call "
    "that brought it has ended"
)
UNSENDABLE = TypeError("what the function returns must be plain data")


class Crossing:
    """Translates values for one child, and answers its callbacks.

    `outward` is asked what Handle a value stands for; `inward` says what a
    Handle in an answer becomes.
    """

    def __init__(
        self,
        outward: Callable[[Any], Handle | None] | None = None,
        inward: Callable[[Handle], Any] | None = None,
    ) -> None:
        self._outward = outward
        self._inward = inward
        self._functions: dict[int, Callable] = {}
        self._last = 0

    @contextmanager
    def request(
        self, what: dict[str, Any], *, callbacks: bool, lasting: bool
    ) -> Iterator[bytes]:
        """Give a request as bytes; meanwhile its functions are answered.

        They are so for as long as the child lives if they are `lasting`.
        """
        mine: dict[int, Callable] = {}

        def sent(value: Any) -> Handle | Callback:
            return self._sent(value, mine if callbacks else None)

        try:
            data = wire.encode(what, handle=sent, limit=ANY_SIZE)
        except wire.WireError as error:
            if isinstance(error.__cause__, CallbackRefused):
                raise error.__cause__ from None
            raise
        self._functions.update(mine)
        try:
            yield data
        finally:
            if not lasting:
                for number in mine:
                    del self._functions[number]

    def read(self, data: bytes, limits: wire.WireLimits) -> dict[str, Any]:
        """Return a message of the child."""
        message = wire.decode(data, resolve=self._received, limits=limits)
        if type(message) is not dict:
            raise wire.WireError("an answer must be a dict")
        return message

    def answer(self, message: dict[str, Any]) -> bytes:
        """Call a function for the child, and return the answer's bytes.

        An exception of the function is carried over, and so are the
        arguments as it left them; what means that the child or the sandbox
        is gone is raised here.
        """
        number, args = message["callback"], message["args"]
        kwargs = message["kwargs"]
        if (
            type(number) is not int
            or type(args) is not tuple
            or type(kwargs) is not dict
            or not all(type(name) is str for name in kwargs)
        ):
            raise wire.WireError("a callback must be a call of its function")
        function = self._functions.get(number)
        if function is None:
            return self._encoded({"raised": wire.Raised.of(TOO_LATE)})
        try:
            reply = {"value": function(*args, **kwargs)}
        except (ChildLost, GradingError):
            raise
        except Exception as error:
            reply = {"raised": wire.Raised.of(error)}
        for sent in (reply | {"args": args, "kwargs": kwargs}, reply):
            with suppress(wire.WireError):
                return self._encoded(sent)
        return self._encoded({"raised": wire.Raised.of(UNSENDABLE)})

    def _encoded(self, reply: dict[str, Any]) -> bytes:
        return wire.encode(
            reply,
            handle=lambda value: self._sent(value, None),
            limit=ANY_SIZE,
        )

    def _sent(
        self, value: Any, functions: dict[int, Callable] | None
    ) -> Handle | Callback:
        """Return what is sent instead of a value that is no plain data."""
        handle = self._outward(value) if self._outward else None
        if handle is not None:
            return handle
        if not callable(value):
            name = type(value).__name__
            raise wire.WireError(f"a value of type {name} cannot cross")
        for number, function in self._functions.items():
            if function is value:
                return Callback(number, _name(value))
        library = named(value)
        if library is not None:
            return library
        if functions is None:
            raise CallbackRefused("an argument of this call is a function")
        self._last += 1
        functions[self._last] = value
        return Callback(self._last, _name(value))

    def _received(self, stand_in: Handle | Callback) -> Any:
        if isinstance(stand_in, Callback):
            if stand_in.id not in self._functions:
                raise wire.WireError("a function of the judge must be known")
            return self._functions[stand_in.id]
        return self._inward(stand_in) if self._inward else stand_in


def _name(function: Callable) -> str:
    name = getattr(function, "__name__", None)
    return name if type(name) is str else "function"
