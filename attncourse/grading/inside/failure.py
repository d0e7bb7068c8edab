"""What may be said of an exception: names, a message, a line."""

from __future__ import annotations

import builtins
import functools
import inspect
import linecache
import types
from collections.abc import Mapping
from typing import Any

BUILTIN = {
    kind: name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, BaseException)
    and kind.__name__ == name
}
MESSAGE_CHARS = 2_000
FRAMES = 24
SYNTAX = (SyntaxError, IndentationError, TabError)
# What torch says where Python would raise MemoryError.
NO_MEMORY = ("can't allocate memory", "std::bad_alloc", "out of memory")


def nearest(kind: type) -> str:
    """Return the name of the nearest built-in exception."""
    for each in type.__dict__["__mro__"].__get__(kind):
        if each in BUILTIN:
            return BUILTIN[each]
    return "BaseException"


def message(error: BaseException) -> str:
    """Return the exception's text; student code may run and fail here."""
    try:
        text = error.msg if type(error) in SYNTAX else str(error)  # type: ignore[attr-defined]
        return text[:MESSAGE_CHARS] if type(text) is str else ""
    except BaseException:
        return "(an exception whose message cannot be read)"


def of(
    error: BaseException, cells: Mapping[str, str], home: str = ""
) -> dict[str, Any]:
    """Describe an exception in plain data.

    `cells` names the student's cells by the file names of their code;
    ``cell`` and ``line`` are the last place in one of them, in that of the
    file `home` if possible.
    """
    text = message(error)
    cell, line = place(error, cells, home)
    kind = type(error)  # never `isinstance`, which asks the object itself
    memory = issubclass(kind, MemoryError) or (
        issubclass(kind, RuntimeError)
        and any(words in text for words in NO_MEMORY)
    )
    return {
        "name": str(kind.__name__)[:200],
        "builtin": nearest(kind),
        "message": text,
        "cell": cell,
        "line": line,
        "memory": memory,
    }


def place(
    error: BaseException, cells: Mapping[str, str], home: str = ""
) -> tuple[str | None, int | None]:
    """Return the cell and the line in it that the exception passed last.

    A line in the file `home`, where there is one, goes before others.
    """
    found: tuple[str | None, int | None] = (None, None)
    if type(error) in SYNTAX:
        file, line = error.filename, error.lineno  # type: ignore[attr-defined]
        if type(file) is str and type(line) is int and file in cells:
            return cells[file], line
    step, at_home = error.__traceback__, False
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if name in cells and (name == home or not at_home):
            found, at_home = (cells[name], step.tb_lineno), name == home
        step = step.tb_next
    return found


def home(target: Any, method: str | None = None) -> str:
    """Return the file in which the code of a call's target stands."""
    try:
        if method is not None:
            whose = target if isinstance(target, type) else type(target)
            target = getattr(whose, method)
        elif isinstance(target, type):
            target = target.__init__  # type: ignore[misc]
        elif isinstance(target, functools.partial):
            target = target.func
        target = inspect.unwrap(target)
        if not hasattr(target, "__code__"):
            target = inspect.unwrap(type(target).__call__)
        name = target.__code__.co_filename
    except Exception:  # what a student's object says of itself
        return ""
    return name if type(name) is str else ""


def output(error: BaseException, cells: Mapping[str, str]) -> dict[str, Any]:
    """Return nbformat's error output: a plain traceback without colours."""
    text = message(error)
    name = str(type(error).__name__)[:200]
    lines = ["Traceback (most recent call last):"]
    lines += _frames(error.__traceback__, cells)
    if type(error) in SYNTAX:
        lines += _syntax(error, cells)  # type: ignore[arg-type]
    lines.append(f"{name}: {text}" if text else name)
    return {
        "output_type": "error",
        "ename": name,
        "evalue": text,
        "traceback": ["\n".join(lines)],
    }


def _frames(
    step: types.TracebackType | None, cells: Mapping[str, str]
) -> list[str]:
    """Describe the frames from the first in a cell on; long ones shortened."""
    frames = []
    while step is not None:
        frames.append((step.tb_frame.f_code, step.tb_lineno))
        step = step.tb_next
    inside = (k for k, (code, _) in enumerate(frames) if _own(code, cells))
    frames = frames[next(inside, len(frames)) :]
    left_out = len(frames) - FRAMES
    if left_out > 0:
        frames[FRAMES // 2 : -FRAMES // 2] = []
    lines = [line for code, at in frames for line in _frame(code, at, cells)]
    if left_out > 0:
        lines.insert(len(lines) // 2, f"  [{left_out} more calls]")
    return lines


def _own(code: types.CodeType, cells: Mapping[str, str]) -> bool:
    return code.co_filename in cells


def _frame(
    code: types.CodeType, line: int, cells: Mapping[str, str]
) -> list[str]:
    file = code.co_filename
    if file not in cells:
        return [f"  File {_short(file)}, line {line}, in {code.co_name}"]
    where = f"  {cells[file]}, line {line}"
    if code.co_name != "<module>":
        where += f", in {code.co_name}"
    source = linecache.getline(file, line).strip()
    return [where, f"    {source}"] if source else [where]


def _short(file: str) -> str:
    """Return a library file's path within the library."""
    for above in ("/site-packages/", "/lib/python3."):
        if above in file:
            return file.rpartition(above)[2]
    return file.rpartition("/")[2]


def _syntax(error: SyntaxError, cells: Mapping[str, str]) -> list[str]:
    lines = [
        f"  {cells.get(error.filename or '', 'code')}, line {error.lineno}"
    ]
    if isinstance(error.text, str):
        source = error.text.rstrip("\n")
        lines.append(f"    {source}")
        if isinstance(error.offset, int) and 0 < error.offset < 1000:
            lines.append("    " + " " * (error.offset - 1) + "^")
    return lines
