"""What was entered into the shell: read once, named, and remembered."""

from __future__ import annotations

import ast
from typing import Any

from IPython.core.compilerop import CachingCompiler
from IPython.core.history import HistoryManager


class Compiler(CachingCompiler):
    """Gives the code of a cell a file name that tells the cell."""

    def __init__(self) -> None:
        super().__init__()
        self.next_name = "cell"
        self.cells: dict[str, str] = {}
        self.parsed: tuple[str, ast.AST] | None = None
        # Statements of the instructor's, by identity and file name.
        self.compiled: dict[tuple[int, str], tuple[ast.AST, Any]] = {}

    def ast_parse(
        self, source: str, filename: str = "<unknown>", symbol: str = "exec"
    ) -> ast.AST:
        """Parse a source, once if twice in a row."""
        if self.parsed is not None and self.parsed[0] == source:
            tree, self.parsed = self.parsed[1], None
            return tree
        return super().ast_parse(source, filename, symbol)

    def __call__(
        self, source: Any, filename: str, symbol: str, **how: Any
    ) -> Any:
        """Compile a statement, unless that was done before."""
        if isinstance(source, (ast.Module, ast.Interactive)) and source.body:
            first = source.body[0]
            known = self.compiled.get((id(first), filename))
            if known is not None and known[0] is first:
                return known[1]
        return super().__call__(source, filename, symbol, **how)

    def remember(self, tree: ast.Module, filename: str) -> None:
        """Compile a cell's statements one by one, as IPython will."""
        for node in tree.body:
            shown = node is tree.body[-1] and isinstance(node, ast.Expr)
            whole: Any = ast.Module([node], [])
            if shown:
                whole = ast.Interactive([node])
            mode = "single" if shown else "exec"
            code = super().__call__(whole, filename, mode)
            self.compiled[id(node), filename] = node, code

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
