"""The line to a child: its connections, its time, and its end."""

from __future__ import annotations

import contextlib
import functools
import json
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NoReturn

from attncourse.grading.inside import wire
from attncourse.grading.inside.arguments import Arguments
from attncourse.grading.inside.channel import (
    Channel,
    ChannelError,
    Closed,
    Late,
)
from attncourse.grading.model import GradingError, Limits
from attncourse.grading.sandbox.crossing import ANY_SIZE, Crossing
from attncourse.grading.sandbox.endings import explain, too_slow
from attncourse.grading.sandbox.replies import Budget, ChildLost, Lost, Usage

START_S = 30.0  # to fork a child on a busy machine
END_S = 5.0  # to hear of its end
HANGING_UP_S = 1.0  # between hanging up and the end
WATCH_S = 0.05
MOST_CALLBACKS = 10_000  # in one call
PATIENCE = 5  # times the wall limit, that its callbacks may take besides
OVERHEAD_BYTES = 1 << 20  # what an answer holds besides its value
CREDENTIALS = struct.Struct("3i")  # process, user and group

UNASKED = "Your code sent an answer that nobody asked for."
GONE = "the sandbox has ended: it must be started again"


class OverTime(Exception):
    """The child has used up its time on the processor."""


class Stray(Exception):
    """The child sent something before it was asked."""


class Line:
    """Speaks with one child, and ends it when it misbehaves.

    Each request has a number that nobody can guess, and that its answer
    and its callbacks repeat: no answer is taken for another request's.
    """

    def __init__(
        self,
        address: str,
        *,
        limits: Limits,
        visible: bool,
        seed: int,
        room_bytes: int,
    ) -> None:
        self.limits = limits
        self.pid = 0
        self.lost: ChildLost | None = None
        self.closed = False
        self._usage = Usage()
        self._greeted = False
        self._before = b""  # the number that was answered last
        self._waited = 0.0  # for callbacks of the call that is running
        self._control = socket.socket(socket.AF_UNIX)
        self._control.settimeout(START_S)
        request = {
            "limits": limits.to_json(),
            "visible": visible,
            "seed": seed,
            "room_bytes": room_bytes,
        }
        try:
            data = self._connect(address, request)
        except OSError as error:
            self._control.close()
            raise GradingError(f"{GONE} ({error})") from None
        self._channel = Channel(data, ANY_SIZE, watch_s=WATCH_S)

    def _connect(self, address: str, request: dict) -> socket.socket:
        """Ask for a child; return the socket on which it answers."""
        self._control.connect(address)
        self._control.sendall(json.dumps(request).encode() + b"\n")
        packet, numbers, _, _ = socket.recv_fds(self._control, 1 << 12, 1)
        if not numbers:
            said = json.loads(packet)["refused"] if packet else "no answer"
            raise OSError(said)
        return socket.socket(fileno=numbers[0])

    def exchange(
        self,
        request: bytes,
        given: Arguments,
        number: bytes,
        budget: Budget,
        crossing: Crossing,
    ) -> tuple[Any, dict[str, Any]]:
        """Send a request, which holds this number; return the answer.

        That is the arguments as they came back, and what else it says.
        Meanwhile the child may ask for callbacks, which `crossing` answers;
        the time that takes is not the child's. What it took is taken off
        the budget, and told under ``cpu_s`` and ``wall_s``.
        """
        if self.lost is not None:
            raise self.lost
        if self.closed:
            raise RuntimeError("a child that was closed cannot be asked")
        if not self._greeted:
            self._greet()
        began, cpu = time.monotonic(), self.cpu_s()
        before = self._channel.watch, self._waited
        self._channel.watch = self._watcher(cpu + budget.cpu_s)
        self._waited = 0.0
        try:
            if self._channel.waiting():
                raise Stray
            arguments, message = self._converse(
                request, given, number, began, budget, crossing
            )
        except (Late, OverTime):
            self.lose("timeout", too_slow(budget.limits))
        except Closed:
            self._died()
        except Stray:
            self.lose("crashed", UNASKED, stray=True)
        except (ChannelError, wire.WireError, ValueError, TypeError, KeyError):
            self.unreadable()
        except BaseException:
            self.close()  # it still waits for an answer
            raise
        finally:
            used = {
                "cpu_s": max(0.0, self.cpu_s() - cpu),
                "wall_s": time.monotonic() - began - self._waited,
            }
            self._channel.watch, self._waited = before
            budget.spend(**used)
        message.update(used)
        return arguments.value, message

    def _converse(
        self,
        request: bytes,
        given: Arguments,
        number: bytes,
        began: float,
        budget: Budget,
        crossing: Crossing,
    ) -> tuple[Arguments, dict[str, Any]]:
        """Send a request, answer its callbacks, return its answer."""
        if budget.cpu_s <= 0:
            raise OverTime
        limits = wire_limits(budget.limits)
        self._send(request, began + budget.wall_s)
        for _ in range(MOST_CALLBACKS):
            until = began + self._waited + budget.wall_s
            self._channel.max_bytes = limits.bytes
            frame = self._channel.receive(until - time.monotonic())
            arguments, message = crossing.read(frame, limits, given)
            self._check(message.pop("number", None), number)
            if "callback" not in message:
                return arguments, message
            start = time.monotonic()
            reply = crossing.answer(message, arguments)
            self._waited += time.monotonic() - start
            if self._waited > PATIENCE * budget.limits.wall_s:
                break
            self._send(reply, began + self._waited + budget.wall_s)
        raise OverTime

    def _check(self, came: Any, number: bytes) -> None:
        """See that this is an answer to the request of this number."""
        if type(came) is bytes and came == number:
            self._before = number
        elif type(came) is bytes and came == self._before:
            raise Stray
        else:
            raise wire.WireError("an answer must repeat its request's number")
        if self._channel.held():
            raise wire.WireError("one answer must be all that is sent")

    def _send(self, data: bytes, until: float) -> None:
        """Send bytes, of which the judge alone decides how many."""
        self._channel.max_bytes = ANY_SIZE
        self._channel.send(data, max(0.1, until - time.monotonic()))

    def _watcher(self, most: float) -> Callable[[], None]:
        """Return what raises when the child has used up its time."""

        def watch() -> None:
            if self.cpu_s() > most:
                raise OverTime

        return watch

    def _greet(self) -> None:
        """Wait until the child is shut in; learn its number here."""
        data = self._channel.sock
        try:
            select.select([data], [], [], START_S)
            packet, extra, _, _ = data.recvmsg(
                1000, socket.CMSG_SPACE(CREDENTIALS.size)
            )
        except OSError as error:
            raise GradingError(f"{GONE} ({error})") from None
        if packet[:1] != b"+":
            why = packet[1:].decode(errors="replace") or "it has died"
            raise GradingError(f"a student's process must be shut in: {why}")
        self._greeted = True
        if extra:
            data.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
            self.pid = CREDENTIALS.unpack(extra[0][2])[0]

    def cpu_s(self) -> float:
        """Return the processor time that the child has used so far."""
        if self.pid <= 0 or self.closed:
            return self._usage.cpu_s
        try:
            # The clock of another process: see clock_getcpuclockid(3).
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return self._usage.cpu_s

    # ---- the end

    def usage(self) -> Usage:
        """Return what the child has used."""
        if self.closed:
            return self._usage
        return Usage(cpu_s=self.cpu_s())

    def close(self) -> Usage:
        """Let the server end the child; its time so far is kept."""
        if not self.closed:
            self._usage = Usage(cpu_s=self.cpu_s())
            self._hang_up()
        return self._usage

    def end(self) -> Usage:
        """End the child, and wait until the server has seen it."""
        if not self.closed:
            with contextlib.suppress(OSError):
                self._control.send(b"end\n")
            self._hear_of_its_end()
        return self._usage

    def _hang_up(self) -> None:
        self.closed = True
        self._control.close()
        self._channel.close()

    def _hear_of_its_end(self) -> bool:
        """Wait for the server's report; tell whether it came."""
        heard = False
        with contextlib.suppress(OSError, ValueError, TypeError):
            self._control.settimeout(END_S)
            self._usage = Usage(**json.loads(self._control.recv(1 << 12)))
            heard = True
        self._hang_up()
        return heard

    def lose(
        self, verdict: Lost, says: str, *, stray: bool = False
    ) -> NoReturn:
        """End the child, and remember why."""
        self.end()
        self.lost = ChildLost(verdict, says, self._usage, stray=stray)
        raise self.lost

    def unreadable(self) -> NoReturn:
        """End a child that sent what cannot be read."""
        self.lose("crashed", "Your code sent an answer that cannot be read.")

    def _died(self) -> NoReturn:
        """Tell why a child ended by itself, or has only hung up."""
        self._control.settimeout(HANGING_UP_S)
        with contextlib.suppress(TimeoutError):
            if not self._control.recv(1, socket.MSG_PEEK):
                self._hear_of_its_end()
                raise GradingError(GONE)
            if self._hear_of_its_end():
                verdict, says = explain(self._usage, self.limits)
                self.lost = ChildLost(verdict, says, self._usage)
                raise self.lost
        self.lose("crashed", "It stopped answering.")


@functools.lru_cache(maxsize=64)
def wire_limits(limits: Limits) -> wire.WireLimits:
    """Return how large an answer may be."""
    return wire.WireLimits(
        bytes=limits.reply_bytes + limits.output_bytes + OVERHEAD_BYTES
    )
