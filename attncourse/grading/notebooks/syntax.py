"""What a cell's code binds and uses, seen without running it.

Students' code may be broken, endless or hostile: everything here takes any
text, walks trees without recursion and never raises.
"""

from __future__ import annotations

import ast
import functools
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace

# Of longer cells, and once a notebook's cells have this many together, the
# names are guessed: parsing hostile text takes a second for that much.
MOST_CHARACTERS = 50_000
MOST_TOGETHER = 150_000
# Python's parser takes memory by the square of a dotted name's length.
LONG_NAME = re.compile(r"\b(?:\w++[ \t\f\\\n]*\.[ \t\f\\\n]*){101}")
# Under these the rest of a cell is Python.
PYTHON_MAGICS = {"capture", "prun", "python", "python3", "time", "timeit"}
CELL_MAGIC = re.compile(r"\s*%%(\w+)[^\n]*")
MAGIC = re.compile(r"(\s*)(?:[%!?]|\w[\w.]*\?+\s*$)")
MAGIC_VALUE = re.compile(r"(\s*[\w, ]+=\s*)[%!]")
DEFINITION = re.compile(r"^(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)
ASSIGNMENT = re.compile(r"^(\w+)\s*(?::[^=\n]*)?=(?!=)", re.MULTILINE)
WORD = re.compile(r"[^\W\d]\w*")
SCOPES = (
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


@dataclass(frozen=True)
class Code:
    """The names of a cell: what its top level binds, and all it reads.

    `whole` is False where the cell is no Python or has a syntax error; the
    names are then guessed. `star` tells of an ``import *``.
    """

    defines: frozenset[str] = frozenset()
    assigns: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    star: bool = False
    whole: bool = True

    @property
    def binds(self) -> frozenset[str]:
        """Every name that the cell binds."""
        return self.defines | self.assigns | self.imports


def tree(source: str) -> ast.Module | None:
    """Return a cell's syntax tree, or None; line numbers are the cell's."""
    if len(source) > MOST_CHARACTERS or LONG_NAME.search(source):
        return None
    parsed = _parsed(source)
    return _parsed(without_magics(source)) if parsed is None else parsed


def _parsed(source: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None


def without_magics(source: str) -> str:
    r"""Return a cell without IPython's own lines, as many lines as before.

    Examples
    --------
    >>> without_magics("%time\nfiles = !ls\nx = 1")
    'pass\nfiles = None\nx = 1'
    """
    found = CELL_MAGIC.match(source)
    if found:
        if found[1] not in PYTHON_MAGICS:
            return ""
        source = "\n" * found[0].count("\n") + source[found.end() :]
    lines = []
    for line in source.split("\n"):
        value = MAGIC_VALUE.match(line)
        if value:
            line = f"{value[1]}None"
        elif magic := MAGIC.match(line):
            line = f"{magic[1]}pass"
        lines.append(line)
    return "\n".join(lines)


@functools.lru_cache(maxsize=256)
def look(source: str) -> Code:
    r"""Return the names of a cell's code.

    Examples
    --------
    >>> sorted(look("import numpy as np\nx = np.ones(3)").binds)
    ['np', 'x']
    >>> sorted(look("def f(x):\n    return g(x)").uses)
    ['g', 'x']
    """
    module = tree(source)
    if module is None:
        return guessed(source)
    bound = _bound(module)
    uses = {
        node.id
        for node in ast.walk(module)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    return replace(bound, uses=frozenset(uses))


def _bound(module: ast.Module) -> Code:
    """Return what the top level of a cell binds."""
    defines, assigns, imports = set(), set(), set()
    waiting: list[ast.AST] = list(module.body)
    while waiting:
        node = waiting.pop()
        if isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        ):
            defines.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                imports.add(alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            assigns.add(node.id)
        if not isinstance(node, SCOPES):
            waiting.extend(ast.iter_child_nodes(node))
    return Code(
        defines=frozenset(defines),
        assigns=frozenset(assigns),
        imports=frozenset(imports - {"*"}),
        star="*" in imports,
    )


def guessed(source: str) -> Code:
    """Return the names of a cell's code as its lines let them seem."""
    source = source[:MOST_CHARACTERS]
    return Code(
        defines=frozenset(DEFINITION.findall(source)),
        assigns=frozenset(ASSIGNMENT.findall(source)),
        uses=frozenset(WORD.findall(source)),
        star="import *" in source,
        whole=False,
    )


def look_at_all(sources: Iterable[str]) -> tuple[Code, ...]:
    """Return the names of each cell's code, in bounded time."""
    found, together = [], 0
    for source in sources:
        together += len(source)
        found.append(
            look(source) if together <= MOST_TOGETHER else guessed(source)
        )
    return tuple(found)
