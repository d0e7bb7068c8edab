"""Run the cells of a notebook in this process, as grading would."""

import ast
import contextlib
import io
import linecache
import os
import types
from pathlib import Path

import filelock

from attncourse.notebooks import sync
from attncourse.notebooks.course import Course

COURSE = Course(Path(__file__).parents[2])


def synced(*stems):
    """Derive units; of several test processes, one at a time. Say it all."""
    (COURSE.root / "_build").mkdir(exist_ok=True)
    with filelock.FileLock(str(COURSE.root / "_build" / "sync.lock")):
        said = []
        stale = sync.sync(COURSE, stems, check=True, say=said.append)
    return stale, said


def run(notebook, execution=None):
    """Return each code cell's value, by id; an error is a value, too."""
    space = types.ModuleType("__main__").__dict__
    before = os.environ.pop("NBGRADER_EXECUTION", None)
    if execution:
        os.environ["NBGRADER_EXECUTION"] = execution
    os.environ.setdefault("MPLBACKEND", "Agg")
    try:
        return {
            cell.id: value_of(cell.source, cell.id, space)
            for cell in notebook.cells
            if cell.cell_type == "code"
        }
    finally:
        os.environ.pop("NBGRADER_EXECUTION", None)
        if before is not None:
            os.environ["NBGRADER_EXECUTION"] = before


def value_of(source, name, space):
    filename = f"<{name}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            tree = ast.parse(source)
            last = None
            if tree.body and isinstance(tree.body[-1], ast.Expr):
                last = ast.Expression(tree.body.pop().value)
            exec(compile(tree, filename, "exec"), space)
            if last:
                return eval(compile(last, filename, "eval"), space)
        except Exception as error:
            return error


def points(notebook):
    """Return what the test cells of a notebook earn, by id."""
    values = run(notebook, "autograde")
    return {
        cell.id: values[cell.id]
        for cell in notebook.cells
        if cell.cell_type == "code"
        and cell.metadata.get("nbgrader", {}).get("grade")
    }
