"""What an attack is, and how it becomes a submitted notebook."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from attacks import course
from nbformat.v4 import new_code_cell

EVERY = tuple(course.MOST)
# What many attacks use: each try says aloud what came of it.
PRELUDE = """
import os, sys
import numpy as np

def attempt(name, do):
    try:
        got = do()
    except BaseException as error:
        print("REFUSED", name, type(error).__name__, str(error)[:200])
    else:
        print("GOT", name, repr(got)[:2000])
"""
# Honest work, so that an attack with only side effects must still earn it.
HONEST = {each: course.visible(course.HONEST[each]) for each in course.HONEST}


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One hostile notebook, and the most that it may come to.

    `answers` replaces answers by grade id; `first` is a cell of the
    student's after the setup, `last` one at the end. A test whose answer
    is replaced may earn nothing unless `most` says so; every other test
    must earn all, unless it is one of those that the attack `spoils` by
    itself. `refused`: no attempt may succeed, and one must have been made.
    `verdicts` are those that a test may get. `change` edits the notebook
    object, `folder` the folder that it is submitted in.
    """

    name: str
    answers: dict[str, str] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    most: dict[str, float] = field(default_factory=dict)
    spoils: tuple[str, ...] = ()
    verdicts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: bool = False
    shown: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    files: dict[str, str | bytes] = field(default_factory=dict)
    change: Callable[[Any], Any] | None = None
    folder: Callable[[Any, dict[str, str]], None] | None = None
    student: str = "mallory"

    def limits(self) -> dict[str, tuple[float, float]]:
        """Return the least and the most points of each test."""
        replaced = {course.ANSWERS[each] for each in self.answers}
        return {
            test: (
                0.0 if test in replaced or test in self.spoils else full,
                self.most.get(test, 0.0 if test in replaced else full),
            )
            for test, full in course.MOST.items()
        }


def notebook(attack: Attack, places: dict[str, str]) -> Any:
    """Return the notebook that the attacker hands in."""
    made = course.honest()
    for cell in made.cells:
        if cell.id in attack.answers:
            cell.source = attack.answers[cell.id].strip("\n")
    if attack.first:
        made.cells.insert(2, new_code_cell(attack.first, id="first"))
    if attack.last:
        made.cells.append(new_code_cell(attack.last, id="last"))
    for cell in made.cells:
        cell.source = filled(cell.source, places)
    if attack.change is not None:
        made = attack.change(made) or made
    return made


def filled(text: str, places: dict[str, str]) -> str:
    """Return `text` with each @NAME@ replaced by what it stands for."""
    for name, value in places.items():
        text = text.replace(f"@{name}@", value)
    return text


def honestly(answer: str, more: str) -> str:
    """Return the honest answer with `more` put after it."""
    return HONEST[answer] + "\n" + more
