"""The fork server: it holds the packages, and forks a child per request.

One thread, one loop. Each client has a control connection that sends one
request and is closed when the child shall end; the server says on it when
the child has ended. It lives as long as its owner's connection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from . import birth, folders, isolate, namespaces, preloading, stub, tree
from .shell import Shell

REQUEST_BYTES = 1 << 16
SETTINGS_BYTES = 1 << 20


@dataclass
class Forked:
    """A child of this server, and the client that asked for it."""

    pid: int
    control: socket.socket
    folder: str


class ForkServer:
    """Forks children for those who connect to `listening`."""

    def __init__(
        self,
        listening: socket.socket,
        owner: socket.socket,
        *,
        prepared: isolate.Prepared,
        shell: Shell,
        root: str,
    ) -> None:
        self.prepared = prepared
        self.shell = shell
        self.folders = folders.Folders(root)
        self.children: dict[int, Forked] = {}
        self.selector = selectors.DefaultSelector()
        self._watch(listening, self._accept)
        self._watch(owner, self._end)
        self._watch(signals(), self._reap)

    def serve(self) -> None:
        """Do what comes, for ever."""
        while True:
            for key, _ in self.selector.select():
                # What came before it in this round may have closed it.
                if key.fd in self.selector.get_map():
                    key.data(key.fileobj)

    def _watch(self, what: socket.socket, then: Any) -> None:
        self.selector.register(what, selectors.EVENT_READ, then)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            control, _ = listening.accept()
            control.setblocking(False)
            self._watch(control, self._heard)

    def _heard(self, control: socket.socket) -> None:
        """Fork for a request; end the child when its client is gone."""
        try:
            packet = control.recv(REQUEST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        forked = self.children.get(control.fileno())
        if packet and forked is None:
            try:
                self._fork(control, json.loads(packet))
            except (OSError, ValueError, KeyError, TypeError) as error:
                tell(control, {"refused": str(error)})
            return
        self.selector.unregister(control)
        if forked is None:
            control.close()
        else:
            os.kill(forked.pid, signal.SIGKILL)

    def _fork(self, control: socket.socket, request: dict) -> None:
        ours, theirs = socket.socketpair()
        if hasattr(socket, "SO_PASSCRED"):
            # The first byte then tells the child's number as the client
            # sees it.
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        folder = self.folders.make()
        pid = os.fork()
        if pid == 0:
            self._become(theirs, folder, request)
        theirs.close()
        self.children[control.fileno()] = Forked(pid, control, folder)
        with ours, contextlib.suppress(OSError):
            socket.send_fds(control, [b"{}\n"], [ours.fileno()])

    def _become(self, sock: socket.socket, folder: str, request: dict) -> None:
        """Be the child; never come back into the server's loop."""
        status = 1
        try:
            birth.live(
                sock,
                folder,
                request,
                prepared=self.prepared,
                shell=self.shell,
            )
        except BaseException:
            status = 2
        finally:
            os._exit(status)

    def _reap(self, signals: socket.socket) -> None:
        """Take note of children that have ended, and clean up after them."""
        with contextlib.suppress(BlockingIOError):
            signals.recv(1 << 12)
        for forked in list(self.children.values()):
            pid, status, used = os.wait4(forked.pid, os.WNOHANG)
            if pid:
                tell(forked.control, report(status, used))
                self._forget(forked)

    def _forget(self, forked: Forked) -> None:
        del self.children[forked.control.fileno()]
        with contextlib.suppress(KeyError):
            self.selector.unregister(forked.control)
        forked.control.close()
        with contextlib.suppress(OSError):
            folders.remove(forked.folder)

    def _end(self, owner: socket.socket) -> None:
        """End with the owner, and take the children along."""
        for forked in self.children.values():
            os.kill(forked.pid, signal.SIGKILL)
            os.waitpid(forked.pid, 0)
        os._exit(0)


def signals() -> socket.socket:
    """Return a socket that says when a child has ended."""
    hear, say = socket.socketpair()
    hear.setblocking(False)
    say.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(say.detach(), warn_on_full_buffer=False)
    return hear


def report(status: int, used: Any) -> dict[str, Any]:
    """Return how a child ended, and what it has used."""
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "exit": os.WEXITSTATUS(status),
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "maxrss_bytes": used.ru_maxrss * unit,
        "cpu_s": used.ru_utime + used.ru_stime,
    }


def tell(whom: socket.socket, what: dict[str, Any]) -> None:
    """Send a line, if anyone still listens."""
    with contextlib.suppress(OSError):
        whom.send(json.dumps(what).encode() + b"\n")


def main(owner_fd: int, listening_fd: int) -> None:
    """Prepare everything, tell the owner, and serve."""
    owner = socket.socket(fileno=owner_fd)
    with owner.makefile("rb") as lines:
        settings = json.loads(lines.readline(SETTINGS_BYTES))
    try:
        prepared, shell, missing = prepare(settings)
    except isolate.IsolationError as error:
        tell(owner, {"refused": str(error)})
        return
    server = ForkServer(
        socket.socket(fileno=listening_fd),
        owner,
        prepared=prepared,
        shell=shell,
        root=settings["root"],
    )
    preloading.settle()
    isolation = dataclasses.asdict(prepared.isolation)
    tell(owner, {"isolation": isolation, "missing": missing})
    server.serve()


def prepare(
    settings: dict[str, Any],
) -> tuple[isolate.Prepared, Shell, tuple[str, ...]]:
    """Shut the server in as far as it may be, then load all packages."""
    preloading.complete()
    isolate.available()  # finds libraries that are out of sight later
    readable = tree.readable(settings["stubs"], settings["readable"])
    entered = namespaces.enter_namespaces(readable, settings["root"])
    prepared = isolate.Prepared(readable, trust=settings["trust"])
    prepared.isolation = prepared.isolation.within(entered)
    stub.install(settings["stubs"], settings["silent"])
    missing = preloading.preload(settings["preload"])
    return prepared, preloading.warm_up(), missing
