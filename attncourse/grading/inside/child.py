"""What a child does: it runs cells and answers calls, one at a time."""

from __future__ import annotations

import importlib
import itertools
import pathlib
from collections.abc import Callable
from typing import Any

from . import failure, wire
from .calm import calmly
from .channel import Channel
from .forgetting import forgetful
from .objects import describe, is_data, kind
from .shell import Shell
from .speaker import Speaker
from .torches import gradients, parameters, state


class Server(Speaker):
    """Answers the requests that come through a channel."""

    def __init__(self, channel: Channel, shell: Shell) -> None:
        super().__init__(channel, shell)
        self.given = frozenset(shell.user_ns)

    # ---- cells and names

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

    def do_calls(self, request: dict) -> dict:
        """Call an object several times; tell what came of the first ones.

        What does not fit any more is left for the judge to ask for again.
        """
        told: list[bytes] = []
        for data in request["calls"]:
            before, rest = self._unpacked(data)
            rest["args"], rest["kwargs"] = before.value
            reply = self._call(rest, self._function(rest))
            try:
                packed = self._whole(reply, before.value, before)
            except (wire.WireError, MemoryError):
                break
            self.reply_bytes -= len(packed.data)
            told.append(packed.data)
        self.reply_bytes = request["reply_bytes"]
        return {"value": told}

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
