"""Run a test file against small mutations of the modules that it tests.

``python tests/mutate.py TESTFILE MODULE... [--only N/M]`` changes one sign,
axis, constant or comparison at a time and expects the tests to fail. Each
mutant lives in a forked child, so that imports are paid for once. Prints
one JSON line per surviving mutant, then a line with the counts.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.util
import json
import os
import signal
import sys
import types
from collections.abc import Iterator

SWAPS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
SECONDS = 120


def places(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield each node that can be mutated, with the kind of mutation."""
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        for statement in function.body:
            if isinstance(statement, ast.Raise):
                continue
            for node in ast.walk(statement):
                if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
                    yield node, "operator"
                elif (
                    isinstance(node, ast.Compare)
                    and type(node.ops[0]) in SWAPS
                ):
                    yield node, "comparison"
                elif isinstance(node, ast.Constant) and type(node.value) in (
                    int,
                    float,
                ):
                    yield node, "constant"
                elif isinstance(node, ast.UnaryOp) and isinstance(
                    node.op, (ast.USub, ast.Invert)
                ):
                    yield node, "sign"


def mutants(
    source: str, first: int = 0, step: int = 1
) -> Iterator[tuple[str, str, ast.Module]]:
    """Yield (statement before, statement after, mutated module)."""
    original = ast.parse(source)
    total = sum(1 for _ in places(original))
    for index in range(first, total, step):
        tree = copy.deepcopy(original)
        node, kind = list(places(tree))[index]
        statement = _statement(tree, node)
        before = _head(statement)
        _mutate(tree, node, kind)
        ast.fix_missing_locations(tree)
        yield before, _head(statement), tree


def _statement(tree: ast.Module, node: ast.AST) -> ast.stmt:
    """Return the innermost statement that holds the node."""
    holders = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.stmt)
        and any(child is node for child in ast.walk(each))
    ]
    return min(holders, key=lambda each: sum(1 for _ in ast.walk(each)))


def _head(statement: ast.stmt) -> str:
    return ast.unparse(statement).partition("\n")[0]


def _mutate(tree: ast.Module, node: ast.AST, kind: str) -> None:
    if kind == "operator":
        node.op = SWAPS[type(node.op)]()
    elif kind == "comparison":
        node.ops[0] = SWAPS[type(node.ops[0])]()
    elif kind == "constant":
        node.value = node.value + 1
    else:  # drop the sign
        for parent in ast.walk(tree):
            for field, value in ast.iter_fields(parent):
                if value is node:
                    setattr(parent, field, node.operand)
                elif isinstance(value, list):
                    for place, item in enumerate(value):
                        if item is node:
                            value[place] = node.operand


def survives(module: str, tree: ast.Module, test_file: str) -> bool:
    """Run the tests against one mutant in a child; tell if they pass."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        import hypothesis
        import pytest

        # That it fails is enough: the smallest example takes seconds.
        phases = hypothesis.Phase.explicit, hypothesis.Phase.generate
        hypothesis.settings.register_profile(
            "mutants", phases=phases, database=None
        )
        hypothesis.settings.load_profile("mutants")
        # Modules that took functions from the original must be loaded anew.
        for name in [m for m in sys.modules if m.startswith("attncourse.")]:
            del sys.modules[name]
        spec = importlib.util.find_spec(module)
        mutated = types.ModuleType(module)
        mutated.__spec__, mutated.__file__ = spec, spec.origin
        sys.modules[module] = mutated
        exec(compile(tree, spec.origin, "exec"), mutated.__dict__)
        parent, _, name = module.rpartition(".")
        setattr(importlib.import_module(parent), name, mutated)
        # Hypothesis was imported before pytest could rewrite it.
        calm = ["-o", "filterwarnings=", "-p", "no:cacheprovider"]
        code = pytest.main(["-x", "-q", "--tb=no", *calm, test_file])
        os._exit(int(code))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def main() -> None:
    """Mutate, run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("test_file")
    parser.add_argument("modules", nargs="+")
    parser.add_argument(
        "--only", default="0/1", help="N/M: each M-th mutant, from the N-th"
    )
    options = parser.parse_args()
    first, step = map(int, options.only.split("/"))
    import hypothesis  # noqa: F401  (paid once, before the forks)
    import pytest  # noqa: F401
    import torch  # noqa: F401

    sources = {name: source_of(name) for name in options.modules}
    unchanged = ast.parse(sources[options.modules[0]])
    if not survives(options.modules[0], unchanged, options.test_file):
        raise SystemExit("the tests must pass on the unchanged modules")
    tried = dict.fromkeys(sources, 0)
    for name, source in sources.items():
        for before, after, tree in mutants(source, first, step):
            tried[name] += 1
            if survives(name, tree, options.test_file):
                told = {"module": name, "before": before, "after": after}
                print(json.dumps(told), flush=True)
    print(json.dumps({"tried": tried}))


def source_of(module: str) -> str:
    """Return the text of a module, without importing it."""
    with open(
        importlib.util.find_spec(module).origin, encoding="utf-8"
    ) as file:
        return file.read()


if __name__ == "__main__":
    main()
