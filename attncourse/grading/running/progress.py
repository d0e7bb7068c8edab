"""How far a run is: students done, rate, time left."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Callable
from typing import TextIO

QUIET_S = 10.0


class Progress:
    """One changing line on a terminal, else a line now and then.

    Parameters
    ----------
    total : how many submissions there are to do.
    stream : where to write; standard error, so that a table can be piped.
    clock : seconds that only grow.
    """

    def __init__(
        self,
        total: int,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.total = total
        self.count = 0
        self.stream = stream or sys.stderr
        self.clock = clock
        self.start = self.said = clock()
        self.live = self.stream.isatty()

    def done(self, student: str) -> None:
        """Count one submission and say so, if it is time to."""
        self.count += 1
        now = self.clock()
        last = self.count == self.total
        if self.live:
            if last or now - self.said > 0.1 or self.count == 1:
                self.said = now
                self._write(f"\r\x1b[K{self.line(student)}"[:200])
        elif last or now - self.said >= QUIET_S:
            self.said = now
            self._write(self.line(student) + "\n")

    def line(self, student: str = "") -> str:
        """Return what is known now, in a line."""
        taken = max(self.clock() - self.start, 1e-9)
        rate = self.count / taken
        left = (self.total - self.count) / rate if rate else 0.0
        wide = len(str(self.total))
        return (
            f"{self.count:{wide}}/{self.total} done, "
            f"{rate:.1f} a second, {lasting(left)} left  {printable(student)}"
        ).rstrip()

    def note(self, text: str) -> None:
        """Write a line of its own, above the changing one."""
        lead = "\r\x1b[K" if self.live else ""
        self._write(f"{lead}{printable(text)}\n")

    def end(self) -> None:
        """Finish the changing line, and say how long it took."""
        taken = lasting(self.clock() - self.start)
        lead = "\r\x1b[K" if self.live else ""
        if self.total:
            self._write(f"{lead}{self.count} done in {taken}\n")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def lasting(seconds: float) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> lasting(2.25), lasting(75), lasting(7260)
    ('2.2 s', '1 min 15 s', '2 h 01 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def printable(text: str) -> str:
    r"""Return a text that cannot steer a terminal.

    Examples
    --------
    >>> printable("ada\x1b[2J")
    'ada?[2J'
    """
    return "".join(
        "?" if unicodedata.category(each)[0] == "C" else each for each in text
    )
