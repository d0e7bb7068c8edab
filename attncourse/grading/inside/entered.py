"""What was entered into the shell: read once, named, and remembered."""

from __future__ import annotations

import ast

from IPython.core.compilerop import CachingCompiler
from IPython.core.history import HistoryManager


class Compiler(CachingCompiler):
    """Gives the code of a cell a file name that tells the cell."""

    def __init__(self) -> None:
        super().__init__()
        self.next_name = "cell"
        self.cells: dict[str, str] = {}
        self.parsed: tuple[str, ast.AST] | None = None

    def ast_parse(
        self, source: str, filename: str = "<unknown>", symbol: str = "exec"
    ) -> ast.AST:
        """Parse a source, once if twice in a row."""
        if self.parsed is not None and self.parsed[0] == source:
            tree, self.parsed = self.parsed[1], None
            return tree
        return super().ast_parse(source, filename, symbol)

    def get_code_name(
        self, raw_code: str, transformed_code: str, number: int
    ) -> str:
        """Return a file name that no other cell has."""
        name, count = f"<{self.next_name}>", 1
        while name in self.cells:
            count += 1
            name = f"<{self.next_name}: {count}>"
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
