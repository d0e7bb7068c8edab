"""What crosses between the judge and a child, besides plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from attncourse.grading.inside import wire
from attncourse.grading.inside.arguments import Arguments, pack, unpack
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

    def request(
        self, given: Any, rest: dict[str, Any], *, callbacks: bool
    ) -> tuple[bytes, Arguments, tuple[int, ...]]:
        """Return a request as bytes, its arguments, and its functions.

        These are answered until `forget` is told their numbers.
        """
        mine: dict[int, Callable] = {}

        def sent(value: Any) -> Handle | Callback:
            return self._sent(value, mine if callbacks else None)

        try:
            packed = pack(given, rest, handle=sent, limit=ANY_SIZE)
        except wire.WireError as error:
            if isinstance(error.__cause__, CallbackRefused):
                raise error.__cause__ from None
            raise
        self._functions.update(mine)
        return packed.data, packed.arguments, tuple(mine)

    def forget(self, numbers: Iterable[int]) -> None:
        """Answer these functions no more."""
        for number in numbers:
            del self._functions[number]

    def read(
        self, data: bytes, limits: wire.WireLimits, before: Arguments
    ) -> tuple[Arguments, dict[str, Any]]:
        """Return a message of the child, an answer or a callback."""
        arguments, message = unpack(
            data, resolve=self._received, limits=limits, before=before
        )
        if "callback" in message and arguments is before:
            raise wire.WireError("a callback must bring its own arguments")
        return arguments, message

    def answer(self, message: dict[str, Any], arguments: Arguments) -> bytes:
        """Call a function for the child, and return the answer's bytes.

        An exception of the function is carried over, and so are the
        arguments as it left them; what means that the child or the sandbox
        is gone is raised here.
        """
        number, given = message["callback"], arguments.value
        if type(number) is not int or not is_call(given):
            raise wire.WireError("a callback must be a call of its function")
        function = self._functions.get(number)
        if function is None:
            return self._packed(None, {"raised": wire.Raised.of(TOO_LATE)})
        args, kwargs = given
        try:
            reply = {"value": function(*args, **kwargs)}
        except (ChildLost, GradingError):
            raise
        except Exception as error:
            reply = {"raised": wire.Raised.of(error)}
        for sent in (given, None):
            with suppress(wire.WireError):
                return self._packed(sent, reply, arguments)
        return self._packed(None, {"raised": wire.Raised.of(UNSENDABLE)})

    def _packed(
        self, given: Any, reply: dict, before: Arguments | None = None
    ) -> bytes:
        return pack(
            given,
            reply,
            handle=lambda value: self._sent(value, None),
            limit=ANY_SIZE,
            before=before,
        ).data

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


def is_call(given: Any) -> bool:
    """Tell whether these are arguments of a call: a tuple and a dict."""
    return (
        type(given) is tuple
        and len(given) == 2
        and type(given[0]) is tuple
        and type(given[1]) is dict
        and all(type(name) is str for name in given[1])
    )


def _name(function: Callable) -> str:
    name = getattr(function, "__name__", None)
    return name if type(name) is str else "function"
