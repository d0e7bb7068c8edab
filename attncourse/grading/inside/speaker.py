"""What a child sends and receives: its answers, and its questions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from . import failure, wire
from .arguments import Arguments, Packed, pack, unpack
from .channel import Channel
from .objects import Table
from .shell import Shell
from .writing import written_back

# What the judge sends is to be trusted.
ANY = wire.WireLimits(bytes=1 << 62, entries=1 << 62)
DEPTH = 20  # calls within calls, between child and judge


class Speaker:
    """Speaks with the judge; a subclass has a ``do_...`` for each request.

    A request is a dictionary whose ``do`` names it; the answer is a
    dictionary, too. While a call runs, the child may ask the judge to call
    one of its functions, and the judge may then ask again.
    """

    def __init__(self, channel: Channel, shell: Shell) -> None:
        self.channel = channel
        self.shell = shell
        self.table = Table(self._callback)
        self.depth = 0
        self.number = b""  # of the request that is being answered
        self.asking = threading.RLock()  # for one thread after the other
        self.reply_bytes = wire.DEFAULT_LIMITS.bytes
        self.output_bytes = 1 << 20

    def serve(self) -> None:
        """Answer until the judge hangs up."""
        while True:
            self._answer(*self._receive())

    # ---- requests

    def _receive(
        self, before: Arguments | None = None
    ) -> tuple[Arguments, dict]:
        """Return what the judge sends: arguments, and what to do."""
        return self._unpacked(self.channel.receive(), before)

    def _unpacked(
        self, data: bytes, before: Arguments | None = None
    ) -> tuple[Arguments, dict]:
        return unpack(
            data, resolve=self.table.resolve, limits=ANY, before=before
        )

    def _answer(self, arguments: Arguments, request: dict) -> None:
        self.reply_bytes = request.get("reply_bytes", self.reply_bytes)
        self.output_bytes = request.get("output_bytes", self.output_bytes)
        self.depth += 1
        outer, self.number = self.number, request["number"]
        given = arguments.value
        if given is not None:
            request["args"], request["kwargs"] = given
        try:
            reply = getattr(self, f"do_{request['do']}")(request)
        except Exception as error:
            reply = {"failed": failure.of(error, self.shell.cells)}
        with self.asking:  # not between another thread's question and answer
            self.depth -= 1
            self._send(reply, given, arguments)
            self.number = outer

    def _send(
        self, reply: dict, given: Any, before: Arguments | None = None
    ) -> Arguments:
        """Send an answer, or say that it cannot be sent."""
        try:
            packed = self._whole(reply, given, before)
        except (wire.WireError, MemoryError) as error:
            if "callback" in reply:
                raise
            outputs = reply.get("outputs", [])
            told = {"unsendable": str(error), "outputs": outputs}
            packed = self._packed(told)
        self.channel.send(packed.data)
        return packed.arguments

    def _whole(
        self, reply: dict, given: Any, before: Arguments | None
    ) -> Packed:
        """Return an answer as bytes, with how many subclasses are in it."""
        packed = self._packed(reply, given, before)
        if packed.subclasses:
            told = reply | {"subclasses": len(packed.subclasses)}
            packed = self._packed(told, given, before)
        return packed

    def _packed(
        self,
        reply: dict,
        given: Any = None,
        before: Arguments | None = None,
    ) -> Packed:
        return pack(
            given,
            reply | {"number": self.number},
            handle=self.table.handle,
            limit=self.reply_bytes,
            before=before,
        )

    # ---- callbacks

    def _callback(self, number: int, name: str) -> Callable:
        """Return what stands for a function of the judge."""

        def function(*args: Any, **kwargs: Any) -> Any:
            return self._ask(number, name, args, kwargs)

        function.__name__ = function.__qualname__ = name or "function"
        function._callback_of_the_judge = wire.Callback(number, name)  # type: ignore[attr-defined]
        return function

    def _ask(self, number: int, name: str, args: tuple, kwargs: dict) -> Any:
        """Let the judge call its function, for any thread, in turn."""
        with self.asking:
            return self._asked(number, name, args, kwargs)

    def _asked(self, number: int, name: str, args: tuple, kwargs: dict) -> Any:
        if self.depth == 0:
            raise RuntimeError(
                f"{name} can be called only during the call that brought it"
            )
        if self.depth > DEPTH:
            raise RecursionError(f"{name} calls itself through {name}")
        given = args, kwargs
        sent = self._send({"callback": number}, given)
        while True:
            arguments, message = self._receive(sent)
            if "do" not in message:
                break
            self._answer(arguments, message)
        came: tuple[tuple, dict] = arguments.value or ((), {})
        value = written_back(
            message.get("value"), came, args, kwargs, lambda _: None
        )
        raised = message.get("raised")
        if raised is not None:
            raise made(raised)
        return value


def made(raised: wire.Raised) -> BaseException:
    """Return an exception like the one that the judge's function raised."""
    try:
        return raised.type(raised.message)
    except TypeError:  # it takes more than a message
        return RuntimeError(raised.message)
