"""What was entered into the shell: read once, named, and remembered."""

from __future__ import annotations

from types import CodeType

from IPython.core.compilerop import CachingCompiler
from IPython.core.history import HistoryManager

from .plain import compiled

Codes = tuple[CodeType, ...]


class Compiler(CachingCompiler):
    """Gives the code of a cell a file name that tells the cell."""

    def __init__(self) -> None:
        super().__init__()
        self.next_name = "cell"
        self.cells: dict[str, str] = {}
        # Cells of the instructor's: by source, file name and what earlier
        # cells have imported from the future.
        self.known: dict[tuple[str, str, int], Codes] = {}

    def plainly(self, source: str) -> Codes | None:
        """Return the next cell as code; None if that is left to IPython."""
        name = self._next_file()
        known = self.known.get((source, name, self.flags))
        return known or compiled(source, name, self)

    def remember(self, source: str, name: str) -> None:
        """Compile a cell before it comes, where that can be done."""
        source = source if source.endswith("\n") else f"{source}\n"
        filename = f"<{name}>"
        codes = compiled(source, filename, self)
        if codes is not None:
            self.known[source, filename, self.flags] = codes

    def _next_file(self) -> str:
        name, count = f"<{self.next_name}>", 1
        while name in self.cells:
            count += 1
            name = f"<{self.next_name}: {count}>"
        return name

    def get_code_name(
        self, raw_code: str, transformed_code: str, number: int
    ) -> str:
        """Return a file name that no other cell has."""
        name = self._next_file()
        self.cells[name] = self.next_name
        return name


class History(HistoryManager):
    """Remembers what was entered, in this process only."""

    def store_inputs(
        self, line_num: int, source: str, source_raw: str | None = None
    ) -> None:
        """Keep a cell, and the names by which a notebook finds it."""
        raw = (source if source_raw is None else source_raw).rstrip("\n")
        if self._exit_re.match(raw.strip()):
            return
        self.input_hist_parsed.append(source.rstrip("\n"))
        self.input_hist_raw.append(raw)
        if self.shell is not None:
            before = ["", "", "", *self.input_hist_raw[-4:-1]]
            names = dict(zip(("_iii", "_ii", "_i"), before[-3:], strict=True))
            self.shell.user_ns.update(names, **{f"_i{line_num}": raw})
