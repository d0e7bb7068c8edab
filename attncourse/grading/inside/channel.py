"""Frames over a socket, between sides of which one may be hostile.

A frame is `MAGIC`, a length of eight bytes, and as many bytes. Every wait
has a deadline that holds for the whole frame, however slowly it drips.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Self

MAGIC = b"GRAD"
_HEAD = struct.Struct("<4sQ")
_CHUNK = 1 << 16
_LONGEST_WAIT_S = 3600.0
# Never wait inside the kernel, and never die of a signal.
_NOW = int(socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0))
_LOOK = _NOW | int(socket.MSG_PEEK)


class ChannelError(Exception):
    """The other side cannot be spoken with."""


class Closed(ChannelError):
    """The other side has gone."""


class Late(ChannelError):
    """The other side took longer than it may."""


class TooLong(ChannelError):
    """A frame is longer than frames may be."""


class Garbled(ChannelError):
    """What came is no frame."""


class Channel:
    """Sends and receives frames of at most `max_bytes` bytes.

    One thread uses it. `watch`, if given, is called about every `watch_s`
    seconds while a frame is awaited or sent, and may raise. Without one,
    whoever waits for ever waits inside the kernel.
    """

    def __init__(
        self,
        sock: socket.socket,
        max_bytes: int,
        *,
        watch: Callable[[], object] | None = None,
        watch_s: float = 0.05,
    ) -> None:
        sock.setblocking(True)
        self.sock = sock
        self.max_bytes = max_bytes
        self.watch = watch
        self.watch_s = watch_s
        self._next_watch = 0.0
        self._held = bytearray()
        self._incoming = select.poll()
        self._incoming.register(sock, select.POLLIN)
        self._half_sent = False

    def send(self, data: bytes, timeout_s: float | None = None) -> None:
        """Send one frame; `Late` if the other side does not read it."""
        if len(data) > self.max_bytes:
            raise TooLong(
                f"a frame holds at most {self.max_bytes} bytes:"
                f" got {len(data)}"
            )
        if self._half_sent:
            raise Closed("a frame was sent in part: nothing can follow it")
        head = _HEAD.pack(MAGIC, len(data))
        parts = [head + data] if len(data) < _CHUNK else [head, data]
        deadline = self._start(timeout_s)
        self._half_sent = True
        for part in parts:
            self._send_all(memoryview(part), deadline)
        self._half_sent = False

    def receive(self, timeout_s: float | None = None) -> bytes:
        """Return the next frame's bytes; `None` waits for ever.

        After `Late`, what came so far is kept, and one may wait again.
        """
        deadline = self._start(timeout_s)
        if not self._held:
            came = self._next(_CHUNK, deadline)
            # A short frame comes in one piece, as a rule.
            size = max(0, len(came) - _HEAD.size)
            if came[: _HEAD.size] == _HEAD.pack(MAGIC, size):
                self._check(size)
                return came[_HEAD.size :]
            self._held += came
        self._fill(_HEAD.size, deadline)
        magic, size = _HEAD.unpack_from(self._held)
        if magic != MAGIC:
            raise Garbled("a frame must start as one")
        self._check(size)
        end = _HEAD.size + size
        self._fill(end, deadline)
        with memoryview(self._held) as held:
            data = bytes(held[_HEAD.size : end])
        del self._held[:end]
        return data

    def _check(self, size: int) -> None:
        if size > self.max_bytes:
            raise TooLong(
                f"a frame holds at most {self.max_bytes} bytes: got {size}"
            )

    def held(self) -> bool:
        """Tell whether more has come than was asked for."""
        return bool(self._held)

    def waiting(self) -> bool:
        """Tell whether anything is there that was not received yet."""
        if self._held:
            return True
        if not self._incoming.poll(0):
            return False
        try:
            return bool(self.sock.recv(1, _LOOK))
        except OSError:
            return False

    def fileno(self) -> int:
        """Return the socket's descriptor, for `select`."""
        return self.sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self, timeout_s: float | None) -> float:
        """Return the moment at which it will be too late."""
        now = time.monotonic()
        self._next_watch = now + self.watch_s
        return math.inf if timeout_s is None else now + timeout_s

    def _fill(self, count: int, deadline: float) -> None:
        """Read until `count` bytes are held."""
        while len(self._held) < count:
            wanted = min(max(count - len(self._held), _CHUNK), 16 * _CHUNK)
            self._held += self._next(wanted, deadline)
            if len(self._held) < count:
                self._look(deadline)

    def _next(self, most: int, deadline: float) -> bytes:
        """Return what comes next, at least a byte."""
        patient = self.watch is None and deadline == math.inf
        while True:
            if not patient:
                self._wait(self._incoming, deadline)
            try:
                came = self.sock.recv(most, 0 if patient else _NOW)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Closed(f"the other side has gone: {error}") from None
            if not came:
                raise Closed("the other side has gone")
            return came

    def _send_all(self, left: memoryview, deadline: float) -> None:
        while left:
            try:
                left = left[self.sock.send(left, _NOW) :]
            except BlockingIOError:
                outgoing = select.poll()
                outgoing.register(self.sock, select.POLLOUT)
                self._wait(outgoing, deadline)
                continue
            except OSError as error:
                raise Closed(f"the other side has gone: {error}") from None
            if left:
                self._look(deadline)

    def _wait(self, ready: select.poll, deadline: float) -> None:
        """Wait until the socket is ready, with an eye on the clock."""
        while True:
            left = min(self._look(deadline), _LONGEST_WAIT_S)
            if ready.poll(left * 1000 + 1):
                return

    def _look(self, deadline: float) -> float:
        """Return the seconds to the next look at the clock."""
        now = time.monotonic()
        if now >= deadline:
            raise Late("the other side took longer than it may")
        if self.watch is None:
            return deadline - now
        if now >= self._next_watch:
            self.watch()
            self._next_watch = time.monotonic() + self.watch_s
        return max(min(deadline, self._next_watch) - now, 0)
