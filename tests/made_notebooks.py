"""A small course notebook about nothing in particular, and hands for it."""

import copy
import json

from attncourse.grading.handed_in.submission import match, read
from attncourse.grading.notebooks.source import read_plan


def code(name, source, **own):
    """Return a code cell, known to nbgrader if it is told how."""
    cell = {
        "cell_type": "code",
        "id": name,
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }
    return _named(cell, name, own)


def text(name, source, **own):
    """Return a Markdown cell."""
    cell = {
        "cell_type": "markdown",
        "id": name,
        "metadata": {},
        "source": source,
    }
    return _named(cell, name, own)


def _named(cell, name, own):
    if own:
        defaults = dict.fromkeys(("grade", "locked", "solution"), False)
        cell["metadata"]["nbgrader"] = {
            **defaults,
            "grade_id": name,
            "schema_version": 3,
            "task": False,
            **own,
        }
    return cell


def notebook(*cells, **metadata):
    """Return a notebook of version 4."""
    return {
        "cells": list(cells),
        "metadata": metadata,
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def answer(name, source, **own):
    return code(name, source, solution=True, **own)


def graded(name, source, points=1, **own):
    return code(name, source, grade=True, locked=True, points=points, **own)


AREA = '''def area(width, height):
    """Return the area of a rectangle, whatever its unit."""
    ### BEGIN SOLUTION
    return width * height
    ### END SOLUTION'''
VOLUME = '''def volume(width, height, depth):
    """Return the volume of a box, by way of its area."""
    ### BEGIN SOLUTION
    return area(width, height) * depth
    ### END SOLUTION'''
SOURCE = notebook(
    text("title", "# Boxes"),
    code("setup", "import math\nimport numpy as np", locked=True),
    text("area-prompt", "## An area", locked=True),
    answer("area", AREA),
    graded(
        "area-test",
        "assert area(2, 3) == 6\n### BEGIN HIDDEN TESTS\n"
        "assert area(5, 7) == 35\n### END HIDDEN TESTS",
        points=2,
    ),
    code("play", "print(area(3, 4))"),
    code("given", "BOX = (2, 3, 5)", locked=True),
    answer("volume", VOLUME),
    graded("volume-test", "assert volume(*BOX) == 30", points=3),
    text("words", "### BEGIN SOLUTION\nA box has six sides.\n"
         "### END SOLUTION", grade=True, solution=True, points=2),
)  # fmt: skip
PLAN = read_plan(SOURCE, assignment="unit", notebook="boxes")


def released(plan=PLAN, source=SOURCE):
    """Return the notebook that students were given."""
    made = copy.deepcopy(source)
    for cell, known in zip(made["cells"], plan.cells, strict=True):
        cell["source"] = known.visible
    return made


def solved(plan=PLAN, source=SOURCE):
    """Return a notebook in which every answer is written."""
    made = released(plan, source)
    for cell, known in zip(made["cells"], plan.cells, strict=True):
        if known.kind == "answer":
            cell["source"] = "\n".join(
                line for line in known.source.split("\n") if "###" not in line
            )
        elif known.kind == "written":
            cell["source"] = "A box has faces."
    return made


def cell(made, name):
    """Return the cell of this name."""
    return next(each for each in made["cells"] if each.get("id") == name)


def place(made, name):
    """Return the place of the cell of this name."""
    return made["cells"].index(cell(made, name))


def bare(made):
    """Return the notebook without metadata and ids."""
    made = copy.deepcopy(made)
    for each in made["cells"]:
        each["metadata"] = {}
        each.pop("id", None)
    return made


def script(made, plan=PLAN):
    """Return the steps in which a notebook is run."""
    return match(plan, read(json.dumps(made).encode()))


def told(script):
    """Return the steps in short: what is done with which cell."""
    return [
        f"{step.do} {step.grade_id or step.source.splitlines()[0]}"
        for step in script.steps
    ]
