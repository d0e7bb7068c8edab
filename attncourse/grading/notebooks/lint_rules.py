"""What a test must not do with things that live in another process."""

from __future__ import annotations

import ast

from attncourse.grading.notebooks.lint_names import Seen, last_of, root_of

Told = tuple[str, str] | None
# What a proxy of a function knows of it.
KNOWN_DUNDERS = {"__name__", "__doc__", "__qualname__", "__call__"}
# Of NumPy, pandas, os, os.path and pathlib.
FILES = """
load loadtxt genfromtxt fromfile memmap
read_csv read_excel read_json read_table
listdir stat walk scandir remove exists isfile getsize
is_file read_text read_bytes glob
"""
SEEDS = {"seed", "manual_seed", "set_seed"}
SHELL = {"get_ipython", "In", "Out", "_ih", "_oh", "_i"}
SHARED = {"shares_memory", "may_share_memory"}
WARNED = {"warns", "assert_warns", "assertWarns", "deprecated_call"}


def comparison(node: ast.AST, seen: Seen) -> Told:
    """A function, class or object is compared itself."""
    if not isinstance(node, ast.Compare):
        return None
    sides = [node.left, *node.comparators]
    if all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops):
        return None
    for side in sides:
        name = seen.thing(side)
        if name:
            return (
                f"{name!r} itself is compared",
                "compare what it returns, or its data",
            )
    return None


def identity(node: ast.AST, seen: Seen) -> Told:
    """Whether two things are the same cannot be told across processes."""
    advice = "compare values; what crosses is a copy"
    if isinstance(node, ast.Compare):
        # `is None` and the like are asked of anything.
        plain = [
            side
            for side in (node.left, *node.comparators)
            if not isinstance(side, ast.Constant)
        ]
        same = any(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
        if (
            same
            and len(plain) > 1
            and any(seen.gave(side) or seen.thing(side) for side in plain)
        ):
            return "`is` is asked of something that was copied", advice
    if isinstance(node, ast.Call):
        called = last_of(node.func)
        if called in SHARED and any(map(seen.gave, node.args)):
            return "memory is never shared with the student's process", advice
        if called == "id" and any(
            seen.gave(a) or seen.thing(a) for a in node.args
        ):
            return "`id` is asked of something that was copied", advice
    return None


def kind(node: ast.AST, seen: Seen) -> Told:
    """The type of a proxy, or a student's class as a type, is asked for."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    called = last_of(node.func)
    first = seen.thing(node.args[0])
    if called in ("isinstance", "issubclass"):
        if first:
            return (
                f"{first!r} is a proxy and an instance of nothing",
                "use callable(...), or look at what it does",
            )
        for each in node.args[1:]:
            for name in ast.walk(each):
                if seen.thing(name):
                    return (
                        f"{seen.thing(name)!r} is a proxy and no class here",
                        "look at the object's methods and data",
                    )
    if called == "type" and first:
        return f"the type of {first!r} is a proxy's", "look at what it does"
    return None


def inspection(node: ast.AST, seen: Seen) -> Told:
    """Source, byte code or internals of a function are looked at."""
    advice = "judge what it returns; forbid calls by `grading: {forbids: []}`"
    if isinstance(node, ast.Call) and node.args:
        called = last_of(node.func) or ""
        name = seen.thing(node.args[0])
        if name and (called.startswith("getsource") or called == "dis"):
            return f"the source of {name!r} is not here", advice
    if isinstance(node, ast.Attribute) and seen.thing(node.value):
        dunder = node.attr.startswith("__") and node.attr.endswith("__")
        if dunder and node.attr not in KNOWN_DUNDERS:
            return f"a proxy has no {node.attr}", advice
    return None


def patching(node: ast.AST, seen: Seen) -> Told:
    """A name is replaced here that the student's process keeps."""
    advice = "pass what you want to observe as an argument"
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        if node.name in seen.functions | seen.classes:
            return f"{node.name!r} is bound anew, here only", advice
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        if node.id in seen.functions | seen.classes:
            return f"{node.id!r} is bound anew, here only", advice
    elif isinstance(node, ast.Attribute) and isinstance(
        node.ctx, (ast.Store, ast.Del)
    ):
        root = root_of(node)
        if root not in seen.objects and not _own(root):
            return f"{root}.{node.attr} is replaced, here only", advice
    elif isinstance(node, ast.Call):
        called = last_of(node.func)
        root = root_of(node.func)
        if called in ("patch", "setattr", "delattr") and (
            root in ("mock", "patch", "monkeypatch", "unittest", called)
        ):
            return "what is patched here is patched in the judge only", advice
    return None


def _own(root: str | None) -> bool:
    """Tell whether an attribute belongs to the test's own object."""
    return root is None or root in ("self", "cls")


def shell(node: ast.AST, seen: Seen) -> Told:
    """The notebook's shell, history or namespace is asked."""
    advice = "use the name itself; a missing one raises NameError"
    if isinstance(node, ast.Name) and node.id in SHELL:
        return f"{node.id} is the judge's, not the student's", advice
    asked: list[ast.expr] = []
    if isinstance(node, ast.Compare):
        asked = node.comparators
    elif isinstance(node, (ast.Attribute, ast.Subscript)):
        # Where a test only removes a name of its own, all is well.
        asked = [] if isinstance(node.ctx, ast.Del) else [node.value]
    for each in asked:
        called = last_of(each.func) if isinstance(each, ast.Call) else None
        if called in ("globals", "locals", "dir"):
            return f"{called}() lists the judge's names", advice
    return None


def files(node: ast.AST, seen: Seen) -> Told:
    """A file is read, which may be one that the student wrote."""
    if isinstance(node, ast.Call):
        called = last_of(node.func)
        known = (
            isinstance(node.func, ast.Attribute) and called in FILES.split()
        )
        if known or (called == "open" and isinstance(node.func, ast.Name)):
            return (
                f"{called} reads a file, and the student's are not here",
                "let the answer return its content",
            )
    return None


def randomness(node: ast.AST, seen: Seen) -> Told:
    """A seed set here is not set in the student's process."""
    if isinstance(node, ast.Call) and last_of(node.func) in SEEDS:
        return (
            "the student's process does not share this seed",
            "pass a generator, such as np.random.default_rng(0)",
        )
    return None


def warning(node: ast.AST, seen: Seen) -> Told:
    """Warnings stay in the student's process."""
    if isinstance(node, ast.Call) and last_of(node.func) in WARNED:
        return "a student's warnings do not cross", "ask for an exception"
    return None


def protocol(node: ast.AST, seen: Seen) -> Told:
    """An object is used as a number, a text or a container."""
    name = None
    if isinstance(node, ast.Call) and len(node.args) == 1:
        asked = last_of(node.func)
        if isinstance(node.func, ast.Name) and asked in (
            *("len", "iter", "list", "tuple", "set", "dict", "sorted", "sum"),
            *("str", "repr", "bool", "float", "int", "hash", "next", "abs"),
            *("copy", "deepcopy"),
        ):
            name = seen.thing(node.args[0])
    elif isinstance(node, ast.BinOp):
        name = seen.thing(node.left) or seen.thing(node.right)
    elif isinstance(node, (ast.Subscript, ast.FormattedValue)):
        name = seen.thing(node.value)
    elif isinstance(node, (ast.For, ast.comprehension)):
        name = seen.thing(node.iter)
    elif isinstance(node, (ast.If, ast.While, ast.Assert)):
        name = seen.thing(node.test)
    elif isinstance(node, ast.Dict):
        name = next((n for key in node.keys if (n := seen.thing(key))), None)
    if name is None:
        return None
    return (
        f"{name!r} is used as a value, and is not one here",
        "call a method that returns plain data, such as obj.__len__()",
    )


def inheritance(node: ast.AST, seen: Seen) -> Told:
    """A student's class is made a base class or an exception's type."""
    if isinstance(node, ast.ClassDef):
        for base in node.bases:
            if seen.thing(base):
                return (
                    f"{seen.thing(base)!r} cannot be a base class here",
                    "construct it and call its methods",
                )
    if isinstance(node, ast.ExceptHandler) and node.type is not None:
        for each in ast.walk(node.type):
            if isinstance(each, ast.Name) and each.id in seen.classes:
                return (
                    f"{each.id!r} arrives as its nearest built-in type",
                    "catch that one; `student_name` tells the own name",
                )
    return None


RULES = (
    comparison,
    identity,
    kind,
    inspection,
    patching,
    shell,
    files,
    randomness,
    warning,
    protocol,
    inheritance,
)
