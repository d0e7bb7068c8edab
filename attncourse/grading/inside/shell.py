"""A real IPython shell that records what a cell shows."""

from __future__ import annotations

import builtins
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import failure, figures
from .descriptors import Descriptors
from .interactive import Interactive
from .outputs import Outputs, Stream

OUTPUT_BYTES = 1 << 20


@dataclass(frozen=True)
class Ran:
    """What running a cell gave.

    `outputs` are nbformat's, `failure` describes an exception (see
    ``failure.of``), `error` is the exception itself, and `result` the
    value of the last expression.
    """

    outputs: list[dict[str, Any]] = field(default_factory=list)
    failure: dict[str, Any] | None = None
    error: BaseException | None = None
    result: Any = None


class Shell:
    """Runs a notebook's cells in one namespace, as Jupyter would.

    Make it once before forking: that takes most of its time. What is not
    `visible` is not recorded, nor even formatted.
    """

    def __init__(self, *, visible: bool = True) -> None:
        self.visible = visible
        self.python = Interactive.make()
        self.python.hidden = not visible
        self.descriptors: Descriptors | None = None
        # The same for all cells: a logger keeps the one that it has found.
        nothing = Outputs(0)
        self._streams = (
            Stream("stdout", 1, nothing),
            Stream("stderr", 2, nothing),
        )
        self._warm()

    @property
    def user_ns(self) -> dict[str, Any]:
        """The namespace of the cells."""
        return self.python.user_ns

    @property
    def cells(self) -> dict[str, str]:
        """The names of the cells by the file names of their code."""
        return self.python.compile.cells

    def open(self, *, visible: bool) -> None:
        """Catch this process's descriptors 1 and 2 for good; no input."""
        self.visible = visible
        self.python.hidden = not visible
        figures.choose_backend(visible)
        self.descriptors = Descriptors()
        self.descriptors.catch()
        self.descriptors.close()
        builtins.input = refuse_input
        sys.modules["__main__"] = self.python.user_module

    def run(
        self, source: str, name: str, output_bytes: int = OUTPUT_BYTES
    ) -> Ran:
        """Run a cell; tracebacks call it `name`."""
        with self.recording(output_bytes) as record:
            self.python.compile.next_name = name
            result = self.python.run_plainly(source)
            if result is None:
                result = self.python.run_cell(source, store_history=True)
            with contextlib.suppress(Exception):
                figures.finish(self.visible)
        error = result.error_before_exec or result.error_in_exec
        told = failure.of(error, self.cells) if error is not None else None
        return Ran(record.taken(), told, error, result.result)

    @contextlib.contextmanager
    def recording(self, output_bytes: int) -> Iterator[Outputs]:
        """Record what is shown and printed meanwhile."""
        record = Outputs(output_bytes if self.visible else 0)
        before = sys.stdout, sys.stderr, self.python.record, builtins.input
        sys.stdout, sys.stderr = self._streams
        self._record_in(record)
        builtins.input = refuse_input
        try:
            yield record
        finally:
            self._add_written(record)
            sys.stdout, sys.stderr, earlier, builtins.input = before
            self._record_in(earlier)

    def _record_in(self, record: Outputs) -> None:
        self.python.record = record
        for stream in self._streams:
            stream.record = record

    def _add_written(self, record: Outputs) -> None:
        """Add what came through the descriptors, where they are caught."""
        if self.descriptors is None:
            return
        for name, text in self.descriptors.taken(record.limit + 1).items():
            record.write(name, text)

    def _warm(self) -> None:
        """Run through the paths that import something on first use."""
        visible, self.visible = self.visible, True
        for source in ("1 + 1", "1 +", "None.x", "%pwd", "%%time\n1"):
            self.run(source, "warm-up")
        self.visible = visible
        self.python.reset(new_session=True)
        self.cells.clear()
        self.python.execution_count = 1


def refuse_input(prompt: object = "", /) -> str:
    """Stand in place of `input`: nobody is there to answer."""
    raise RuntimeError("input() cannot be answered while grading")
