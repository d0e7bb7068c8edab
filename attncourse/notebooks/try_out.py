"""Check a notebook where there is no Jupyter: `attncourse check FILE`.

The code cells run in this process, one after another, as they would in a
fresh kernel. Needs neither nbgrader nor a kernel, and nothing that only
one operating system has.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import linecache
import os
import sys
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attncourse import questions
from attncourse.checking.draw import as_text
from attncourse.checking.result import Result
from attncourse.notebooks.course import CourseError

# Cell magics whose cell is Python all the same.
TRANSPARENT = {"%%time", "%%timeit", "%%capture"}


def code_cells(file: Path) -> list[str]:
    """Return the code of a notebook, cell by cell.

    Raises
    ------
    CourseError
        If the file is missing or not a notebook; says what it is.
    """
    if file.is_dir():
        found = sorted(file.glob("*.ipynb"))
        hint = f", which holds {found[0].name}" if found else ""
        raise CourseError(f"a notebook is needed: got the folder {file}{hint}")
    if not file.exists():
        raise CourseError(f"there must be such a file: got {file}")
    try:
        notebook = json.loads(file.read_text(encoding="utf-8"))
        cells = notebook["cells"]
        return [
            _joined(cell["source"])
            for cell in cells
            if cell["cell_type"] == "code"
        ]
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CourseError(
            f"{file} must be a notebook (JSON text): {error}"
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise CourseError(
            f"{file} must be a notebook of format 4: open it in Jupyter and "
            "save it again"
        ) from error


def _joined(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def asked_in(source: str) -> list[tuple[str, ast.expr]]:
    """Return the questions that a cell checks, and what it hands over.

    Examples
    --------
    >>> [(name, ast.unparse(answer)) for name, answer
    ...     in asked_in('check("dense.attend", attend)')]
    [('dense.attend', 'attend')]
    """
    try:
        statements = ast.parse(plain_python(source)).body
    except SyntaxError:
        return []
    found = []
    for statement in statements:
        call = getattr(statement, "value", None)
        if not (isinstance(call, ast.Call) and len(call.args) == 2):
            continue
        name, answer = call.args
        if (
            isinstance(call.func, ast.Name)
            and call.func.id == "check"
            and isinstance(name, ast.Constant)
        ):
            found.append((str(name.value), answer))
    return found


def plain_python(source: str) -> str:
    """Return a cell without the lines that only IPython understands.

    Examples
    --------
    >>> plain_python("%matplotlib inline")
    'pass  # %matplotlib inline'
    """
    with contextlib.suppress(SyntaxError):
        ast.parse(source)
        return source
    first = source.lstrip().split(maxsplit=1)[0]
    if first.startswith("%%") and first not in TRANSPARENT:
        return ""
    lines = []
    for line in source.splitlines():
        text = line.lstrip()
        if text.startswith(("%", "!", "?")):
            line = f"{line[: len(line) - len(text)]}pass  # {text}"
        lines.append(line)
    return "\n".join(lines)


def check_file(file: Path, *, show_output: bool = False) -> int:
    """Print what a notebook's checks say; return the exit status.

    Returns
    -------
    status : 0 if every question passes, 1 if not.
    """
    cells = code_cells(file)
    asked = [asked_in(source) for source in cells]
    if not any(asked):
        raise CourseError(
            f"{file} must be a notebook of the course: got one without a "
            'check("unit.name", function)'
        )
    results: list[Result] = []
    stopped = 0
    with _as_main(file) as space:
        for number, source in enumerate(cells, 1):
            for name, answer in asked[number - 1]:
                results.append(_examined(name, answer, space))
                _print_result(results[-1])
            if not asked[number - 1]:
                stopped += not _run(source, number, space, show_output)
    passed = sum(result.passed for result in results)
    points = sum(result.points for result in results)
    most = sum(result.max_points for result in results)
    print(
        f"{passed} of {len(results)} questions pass, "
        f"{points:g} of {most:g} points on the visible cases."
    )
    if stopped:
        print(f"{stopped} code cells stopped with an error; see above.")
    return int(passed < len(results))


@contextlib.contextmanager
def _as_main(file: Path) -> Iterator[dict[str, Any]]:
    """Run with the notebook's folder as place and a module of its own."""
    module = types.ModuleType("__main__")
    before = Path.cwd(), sys.modules["__main__"], list(sys.path)
    # No window may open for a figure.
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.chdir(file.resolve().parent)
    sys.path.insert(0, "")
    sys.modules["__main__"] = module
    try:
        yield module.__dict__
    finally:
        os.chdir(before[0])
        sys.modules["__main__"] = before[1]
        sys.path[:] = before[2]


def _run(source: str, number: int, space: dict, show_output: bool) -> bool:
    """Run a cell; print where it stopped, if it did."""
    name = f"<code cell {number}>"
    text = plain_python(source)
    # So that a traceback, and `edited`, can show the lines.
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    sink = io.StringIO()
    quiet = (
        contextlib.nullcontext()
        if show_output
        else contextlib.redirect_stdout(sink)
    )
    try:
        with quiet:
            exec(compile(text, name, "exec"), space)
    except (Exception, SystemExit) as error:
        print(f"{name[1:-1]} stopped: {_where(error, name)}\n")
        return False
    return True


def _where(error: BaseException, name: str) -> str:
    if isinstance(error, SyntaxError) and error.filename == name:
        return f"SyntaxError in line {error.lineno}: {error.msg}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == name
    ]
    line = f" in line {lines[0]}" if lines else ""
    return f"{type(error).__name__}{line}: {error}"


def _examined(name: str, answer: ast.expr, space: dict) -> Result:
    try:
        question = questions.load(name)
    except (ValueError, ImportError) as error:
        raise CourseError(str(error)) from error
    try:
        value = eval(compile(ast.Expression(answer), "<check>", "eval"), space)
    except NameError:
        return Result(
            question_id=name,
            title=question.title,
            verdict="fail",
            points=0.0,
            max_points=question.points,
            notes=(
                f"{ast.unparse(answer)} must be defined above its check: "
                "got no such name",
            ),
        )
    return questions.examine(name, value)


def _print_result(result: Result) -> None:
    where = {
        each.section: questions.place(each.section)
        for each in result.diagnosis
    }
    print(as_text(result, where=where), end="\n\n")
