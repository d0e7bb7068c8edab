"""Turn source notebooks into exercises, and see that they tell nothing."""

from __future__ import annotations

import ast
import contextlib
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attncourse.notebooks.authored import BEGIN, END, AuthorError
from attncourse.notebooks.course import tools_on_path, unit_of

HIDDEN = re.compile(
    r"^### BEGIN HIDDEN TESTS\n(.*?)^### END HIDDEN TESTS$\n?",
    re.DOTALL | re.MULTILINE,
)
SOLVED = re.compile(
    rf"^[ \t]*{BEGIN}\n(.*?)^[ \t]*{END}[ \t]*$\n?",
    re.DOTALL | re.MULTILINE,
)
# What stands in hidden tests only.
TELLTALES = (
    "BEGIN SOLUTION",
    "END SOLUTION",
    "HIDDEN TESTS",
    "import grade",
    "_hidden(",
)


def written(notebook: Any) -> str:
    """Return the text of a notebook file, the same every time."""
    import nbformat

    return nbformat.writes(notebook).rstrip("\n") + "\n"


def release(sources: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each unit's exercise notebook.

    nbgrader's own ``generate_assignment`` makes them, in a course folder
    of its own that is gone afterwards.

    Parameters
    ----------
    sources : nbgrader's source notebooks by stem.

    Raises
    ------
    AuthorError
        If something secret would be released.
    """
    import nbformat

    made: dict[str, str] = {}
    if not sources:
        return made
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve()
        for stem, notebook in sources.items():
            file = root / "source" / stem / f"{unit_of(stem)}.ipynb"
            file.parent.mkdir(parents=True)
            file.write_text(written(notebook), encoding="utf-8")
        _generate(root)
        for stem, source in sources.items():
            file = root / "release" / stem / f"{unit_of(stem)}.ipynb"
            notebook = nbformat.read(file, as_version=4)
            made[stem] = written(notebook)
            leaks = told(source, notebook)
            if leaks:
                raise AuthorError(
                    f"{stem}: the exercise must hold nothing secret: got\n"
                    + "\n".join(f"  {leak}" for leak in leaks)
                )
    return made


def _generate(root: Path) -> None:
    """Run nbgrader's generate_assignment on every unit under `root`."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    tools_on_path()
    config = Config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.assignment_id = "*"
    course = CourseDirectory(config=config)
    with complaints() as said:
        try:
            GenerateAssignment(coursedir=course, config=config).start()
        except NbGraderException:
            raise AuthorError("nbgrader refused:\n" + "".join(said)) from None


@contextlib.contextmanager
def complaints() -> Iterator[list[str]]:
    """Collect what nbgrader says of errors, and keep the rest quiet."""
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage() + "\n")

    collect = Collect(logging.ERROR)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    logging.getLogger("traitlets").addHandler(collect)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield said
    finally:
        logging.getLogger("traitlets").removeHandler(collect)
        logging.disable(before)


def told(source: Any, released: Any) -> list[str]:
    """Return every secret of `source` that `released` shows.

    Secret are the lines of solutions and hidden tests that stand nowhere
    else in the source, and the functions that hidden tests define.
    """
    text = "\n".join(cell.source for cell in released.cells)
    found = [f"{word!r}" for word in TELLTALES if word in text]
    lines = {line.strip() for line in text.splitlines()}
    public, secret = set(), set()
    for cell in source.cells:
        hidden = HIDDEN.findall(cell.source) + SOLVED.findall(cell.source)
        rest = SOLVED.sub("", HIDDEN.sub("", cell.source))
        secret.update(_lines(*hidden))
        public.update(_lines(rest))
    found += [f"the line {line!r}" for line in (secret - public) & lines]
    for name in _secret_names(source):
        if re.search(rf"^(def {name}\(|{name} *=)", text, re.MULTILINE):
            found.append(f"the definition of {name!r}")
    return sorted(found)


def _lines(*texts: str) -> set[str]:
    stripped = (line.strip() for text in texts for line in text.splitlines())
    # A short line such as `else:` tells nothing.
    return {line for line in stripped if len(line) > 9}


def _secret_names(source: Any) -> set[str]:
    """Return what the hidden tests define, functions and variables."""
    names: set[str] = set()
    for cell in source.cells:
        for hidden in HIDDEN.findall(cell.source):
            for node in ast.walk(ast.parse(hidden)):
                if isinstance(node, ast.FunctionDef):
                    names.add(node.name)
                elif isinstance(node, ast.Name) and isinstance(
                    node.ctx, ast.Store
                ):
                    names.add(node.id)
    return {name for name in names if len(name) > 2}
