"""nbgrader's marks in a source cell, and what students see of the cell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attncourse.grading.model import GradingError

# Where nbgrader's configuration has what (its spelling).
OPTIONS = {
    "begin_solution": ("ClearSolutions", "begin_solution_delimeter"),
    "end_solution": ("ClearSolutions", "end_solution_delimeter"),
    "begin_hidden": ("ClearHiddenTests", "begin_test_delimeter"),
    "end_hidden": ("ClearHiddenTests", "end_test_delimeter"),
    "begin_scheme": ("ClearMarkScheme", "begin_mark_scheme_delimeter"),
    "end_scheme": ("ClearMarkScheme", "end_mark_scheme_delimeter"),
    "text_stub": ("ClearSolutions", "text_stub"),
}


@dataclass(frozen=True, kw_only=True)
class Delimiters:
    """What opens and closes a region, anywhere in a line of its own.

    The stubs are what nbgrader puts in the place of a solution.
    """

    begin_solution: str = "BEGIN SOLUTION"
    end_solution: str = "END SOLUTION"
    begin_hidden: str = "BEGIN HIDDEN TESTS"
    end_hidden: str = "END HIDDEN TESTS"
    begin_scheme: str = "BEGIN MARK SCHEME"
    end_scheme: str = "END MARK SCHEME"
    code_stub: str = "# YOUR CODE HERE\nraise NotImplementedError()"
    text_stub: str = "YOUR ANSWER HERE"

    @classmethod
    def configured(cls, config: Any) -> Delimiters:
        """Return the marks that an nbgrader configuration asks for."""
        said = {
            ours: config[part][option]
            for ours, (part, option) in OPTIONS.items()
            if part in config and option in config[part]
        }
        if "code_stub" in config.get("ClearSolutions", {}):
            stub = config["ClearSolutions"]["code_stub"]
            stub = stub if isinstance(stub, str) else stub.get("python")
            said["code_stub"] = stub or cls.code_stub
        return cls(**said)

    def released(
        self, source: str, own: Mapping[str, Any], cell_type: str
    ) -> str:
        """Return what students are given of a source cell.

        Parameters
        ----------
        own : nbgrader's metadata of the cell.

        Raises
        ------
        GradingError
            If a region is opened twice, never closed, or in a cell in
            which nbgrader does not look for it.
        """
        stub = self.code_stub if cell_type == "code" else self.text_stub
        shown, solutions = cut(
            source, self.begin_solution, self.end_solution, stub
        )
        if own.get("solution") and not solutions:
            shown = stub
        shown, hidden = cut(shown, self.begin_hidden, self.end_hidden)
        shown, schemes = cut(shown, self.begin_scheme, self.end_scheme)
        for found, role, must in (
            (solutions, "solution", "a solution must stand in an answer"),
            (hidden, "grade", "hidden tests must stand in a graded cell"),
            (schemes, "task", "a mark scheme must stand in a task"),
        ):
            if found and not own.get(role):
                raise GradingError(f"{must}: got another cell")
        return shown


def cut(
    source: str, begin: str, end: str, stub: str | None = None
) -> tuple[str, int]:
    r"""Return a text without its regions, and how many there were.

    Examples
    --------
    >>> cut("a\n# BEGIN\nb\n# END\nc", "BEGIN", "END", "?")
    ('a\n?\nc', 1)
    """
    kept: list[str] = []
    regions, inside = 0, False
    for line in source.split("\n"):
        if begin in line:
            if inside:
                raise GradingError(
                    f"a region must be closed by {end!r}: got {begin!r} again"
                )
            inside, regions = True, regions + 1
            indent = (re.match(r"\s*", line) or [""])[0]
            if stub is not None:
                kept += [indent + each for each in stub.split("\n")]
        elif end in line:
            inside = False
        elif not inside:
            kept.append(line)
    if inside:
        raise GradingError(
            f"a region must be closed by {end!r}: got the end of the cell"
        )
    return "\n".join(kept), regions


DELIMITERS = Delimiters()
