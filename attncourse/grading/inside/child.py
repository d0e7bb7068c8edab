"""What a child does: it runs cells and answers calls, one at a time."""

from __future__ import annotations

import importlib
import itertools
import pathlib
import threading
from collections.abc import Callable
from typing import Any

from . import failure, wire
from .arguments import Arguments, Packed, pack, unpack
from .calm import calmly
from .channel import Channel
from .forgetting import forgetful
from .objects import Table, describe, is_data, kind
from .shell import Shell
from .torches import gradients, parameters, state
from .writing import written_back

# What the judge sends is to be trusted.
ANY = wire.WireLimits(bytes=1 << 62, entries=1 << 62)
DEPTH = 20  # calls within calls, between child and judge


class Server:
    """Answers the requests that come through a channel.

    A request is a dictionary whose ``do`` names a method ``do_...``; the
    answer is a dictionary, too. While a call runs, the child may ask the
    judge to call one of its functions, and the judge may then ask again.
    """

    def __init__(self, channel: Channel, shell: Shell) -> None:
        self.channel = channel
        self.shell = shell
        self.table = Table(self._callback)
        self.given = frozenset(shell.user_ns)
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

    def do_run(self, request: dict) -> dict:
        """Run a cell."""
        ran = self.shell.run(
            request["source"], request["name"], self.output_bytes
        )
        return {
            "value": None,
            "outputs": ran.outputs,
            "failed": ran.failure,
        }

    def do_names(self, request: dict) -> dict:
        """List the names that cells have bound."""
        return {
            "value": {
                name: "data" if is_data(value) else kind(value)
                for name, value in list(self.shell.user_ns.items())
                if type(name) is str and self._is_users(name)
            }
        }

    def _is_users(self, name: str) -> bool:
        return name not in self.given and not name.startswith("_")

    def do_prepare(self, request: dict) -> dict:
        """Run code of the grader's own, before any cell."""
        exec(request["source"], self.shell.user_ns)
        return {"value": None}

    def do_nothing(self, request: dict) -> dict:
        """Show that all before it has been answered."""
        return {"value": None}

    def do_fetch(self, request: dict) -> dict:
        """Return a global's value."""
        return {"value": self.shell.user_ns[request["name"]]}

    def do_bind(self, request: dict) -> dict:
        """Set a global."""
        self.shell.user_ns[request["name"]] = request["value"]
        return {"value": None}

    def do_put(self, request: dict) -> dict:
        """Write a file."""
        path = pathlib.Path(request["name"])
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(request["data"])
        except OSError:
            if path.is_file():  # no half of it
                path.unlink()
            raise
        importlib.invalidate_caches()
        return {"value": None}

    def do_call(self, request: dict) -> dict:
        """Call an object, its method, or a copy that remembers nothing."""
        if not request.get("fresh"):
            return self._call(request, self._function(request))
        made: dict[str, Any] = {}

        def copied(*args: Any, **kwargs: Any) -> Any:
            made["copy"] = forgetful(request["target"])
            return made["copy"](*args, **kwargs)

        return self._call(request, copied) | made

    def do_gradient(self, request: dict) -> dict:
        """Call an object, run backward, return the gradients."""
        function = self._function(request)
        found: dict[str, Any] = {}

        def forward_and_backward(*args: Any, **kwargs: Any) -> Any:
            value, grads = gradients(
                function, args, kwargs, request["cotangents"]
            )
            found.update(grads)
            return value

        reply = self._call(request, forward_and_backward)
        return reply | ({"gradients": found} if found else {})

    def do_get(self, request: dict) -> dict:
        """Read an attribute."""
        target, name = request["target"], request["name"]
        return self._call(request, lambda: getattr(target, name))

    def do_set(self, request: dict) -> dict:
        """Write an attribute."""
        target, name = request["target"], request["name"]
        value = request["value"]
        return self._call(request, lambda: setattr(target, name, value))

    def do_items(self, request: dict) -> dict:
        """Iterate, so far and no further."""
        target, most = request["target"], request["most"]
        return self._call(
            request,
            lambda: list(itertools.islice(target, most)),
        )

    def do_state(self, request: dict) -> dict:
        """Return a module's `state_dict`."""
        return self._call(request, lambda: state(request["target"]))

    def do_parameters(self, request: dict) -> dict:
        """Return a module's named parameters."""
        return self._call(request, lambda: parameters(request["target"]))

    def do_describe(self, request: dict) -> dict:
        """Return how an object presents itself."""
        return {"value": describe(request["target"])}

    def do_drop(self, request: dict) -> dict:
        """Forget objects."""
        self.table.drop(request["numbers"])
        return {"value": None}

    # ---- calls

    def _function(self, request: dict) -> Callable:
        target, method = request["target"], request.get("method")
        if method is None:
            return target
        return lambda *args, **kwargs: getattr(target, method)(*args, **kwargs)

    def _call(self, request: dict, function: Callable) -> dict:
        """Call, and return the value, or how it failed."""
        args = request.get("args", ())
        kwargs = request.get("kwargs", {})
        reply: dict[str, Any] = {}
        with calmly(), self.shell.recording(self.output_bytes) as record:
            try:
                reply["value"] = function(*args, **kwargs)
            except BaseException as error:
                home = failure.home(
                    request.get("target"), request.get("method")
                )
                reply["failed"] = failure.of(error, self.shell.cells, home)
        reply["outputs"] = record.taken()
        return reply

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

    # ---- messages

    def _receive(
        self, before: Arguments | None = None
    ) -> tuple[Arguments, dict]:
        """Return what the judge sends: arguments, and what to do."""
        return unpack(
            self.channel.receive(),
            resolve=self.table.resolve,
            limits=ANY,
            before=before,
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
            packed = self._packed(reply, given, before)
            if packed.subclasses:
                told = reply | {"subclasses": len(packed.subclasses)}
                packed = self._packed(told, given, before)
        except (wire.WireError, MemoryError) as error:
            if "callback" in reply:
                raise
            outputs = reply.get("outputs", [])
            told = {"unsendable": str(error), "outputs": outputs}
            packed = self._packed(told)
        self.channel.send(packed.data)
        return packed.arguments

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


def made(raised: wire.Raised) -> BaseException:
    """Return an exception like the one that the judge's function raised."""
    try:
        return raised.type(raised.message)
    except TypeError:  # it takes more than a message
        return RuntimeError(raised.message)
