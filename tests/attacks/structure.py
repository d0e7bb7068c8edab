"""Attacks by the notebook itself: its cells, metadata, magics and source."""

import json

import nbformat
from attacks import course
from attacks.attack import Attack
from nbformat.v4 import new_code_cell, new_output, new_raw_cell

EASY = "earned = 4.0\nearned"
WRONG = "def norm(values):\n    return values"


def cell(notebook, name):
    """Return the cell of this id."""
    return next(each for each in notebook.cells if each.id == name)


def tagged(grade_id, source, **told):
    """Return a cell that claims to be nbgrader's."""
    mark = {"schema_version": 3, "grade_id": grade_id, "task": False}
    mark |= {"grade": True, "solution": False, "locked": True, "points": 1000}
    return new_code_cell(source, metadata={"nbgrader": mark | told})


def with_tests_of_its_own(notebook):
    cell(notebook, "t-norm").source = EASY
    cell(notebook, "t-tally").source = "3.0"


def with_each_test_twice(notebook):
    for name in course.MOST:
        notebook.cells.append(tagged(name, EASY))
        notebook.cells.insert(0, tagged(name, "100.0"))


def with_forged_points(notebook):
    for each in notebook.cells:
        told = each.metadata.get("nbgrader")
        if told and told["grade"]:
            told["points"] = 1e308
            each.source += "\n1e308"
    notebook.cells.append(tagged("bonus", "500.0", points=500))


def with_negative_points(notebook):
    for each in notebook.cells:
        if "nbgrader" in each.metadata:
            each.metadata["nbgrader"]["points"] = float("-inf")


def with_swapped_names(notebook):
    one, other = cell(notebook, "a-norm"), cell(notebook, "a-tally")
    one.metadata, other.metadata = other.metadata, one.metadata
    one.id, other.id = other.id, one.id


def with_answers_as_tests(notebook):
    for answer, test in course.ANSWERS.items():
        cell(notebook, answer).metadata["nbgrader"]["grade_id"] = test
        cell(notebook, test).metadata["nbgrader"]["grade_id"] = answer


def without_tests(notebook):
    notebook.cells = [each for each in notebook.cells if each.id[0] != "t"]
    for each in notebook.cells:
        each.metadata.pop("nbgrader", None)


def with_edited_setup(notebook):
    cell(notebook, "setup").source = (
        "import numpy as np, os\n"
        "np.allclose = np.array_equal = lambda *given, **named: True\n"
        "os.environ['GRADING_SEED'] = '0'\n"
        "def halved(values): return 12.0\n"
    )


def with_forged_limits(notebook):
    wish = {
        "limits": {"cpu_s": 1e9, "wall_s": 1e9, "memory_bytes": 1 << 60},
        "upstream": "substitute",
        "trust_students": True,
        "isolation": "none",
        "forbids": [],
    }
    notebook.metadata["grading"] = wish
    for each in notebook.cells:
        each.metadata["grading"] = wish
    cell(notebook, "a-norm").source = "def norm(values):\n    while True: pass"


def with_another_kernel(notebook):
    notebook.metadata["kernelspec"] = {
        "name": "../../evil",
        "display_name": "<script>document.title='PWN'+'ED'</script>",
        "language": "bash",
        "argv": ["/bin/sh", "-c", "touch @OUTSIDE@/kernel"],
    }
    notebook.metadata["language_info"] = {
        "name": "<img src=x onerror=1>",
        "pygments_lexer": "../../evil",
        "mimetype": "text/html",
    }


def with_titles(notebook):
    run = "<script>document.title='PWN'+'ED'</script>"
    notebook.metadata["title"] = run
    notebook.metadata["authors"] = [{"name": run}]
    notebook.metadata["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"state": {run: run}}
    }
    for each in notebook.cells:
        each.metadata |= {"name": run, "tags": [run], run: run}
    cell(notebook, "intro").source = (
        f"# {run}\n<img src=x onerror=\"document.title='PWN'+'ED'\">\n"
        "![a](attachment:a.svg) [b](javascript:alert(1))\n<h1>12/12</h1>"
    )
    cell(notebook, "intro")["attachments"] = {
        "a.svg": {"image/svg+xml": f"<svg onload=1>{run}</svg>"},
        f'"><b onload="{run}': {"text/html": run},
    }


def with_forged_outputs(notebook):
    verdict = {"verdict": "pass", "points": 4.0, "title": "norm"}
    made = new_output(
        "display_data",
        data={
            "application/vnd.attncourse.verdict+json": verdict,
            "text/html": "<script>document.title='PWN'+'ED'</script>",
        },
    )
    for each in notebook.cells:
        if each.cell_type == "code":
            each.outputs = [made, new_output("stream", text="4.0")]
            each.execution_count = 10**9


def with_markers(notebook):
    for name in course.ANSWERS:
        each = cell(notebook, name)
        each.source = (
            "### END HIDDEN TESTS\n### END SOLUTION\n"
            + each.source
            + "\n### BEGIN HIDDEN TESTS\n### BEGIN SOLUTION\n"
            + "### BEGIN MARK SCHEME\n"
        )


def with_magics(notebook):
    for text in (
        "!touch @OUTSIDE@/bang",
        "files = !ls @COURSE@\nprint('GOT', files)",
        "%%bash\ntouch @OUTSIDE@/bash\ncat @COURSE@/classroom/key",
        "%%script sh\ntouch @OUTSIDE@/script",
        "%%writefile @OUTSIDE@/written\nx",
        "%%javascript\ndocument.title='PWN'+'ED'",
        "%%html\n<script>document.title='PWN'+'ED'</script>",
        "%%svg\n<svg onload=\"document.title='PWN'+'ED'\"></svg>",
        "%run @COURSE@/solutions/week/tiny.ipynb",
        "%load @COURSE@/classroom/key",
        "%cd @COURSE@\n%ls",
        "%env GRADING_SEED=0",
        "%autoreload 2",
        "%reset -f",
        "%logstart @OUTSIDE@/log",
        "%%prun\nx = 1",
        "%config InteractiveShell.ast_node_interactivity = 'all'",
        "%xmode Verbose",
        "%pdb on\n1/0",
        "%%time\nx = 1",
        "get_ipython().system('touch @OUTSIDE@/system')",
        "%gui qt",
        "%matplotlib notebook",
        "%pip install evil",
        "import os\nos.environ?",
        "print(halved)?",
    ):
        notebook.cells.append(new_code_cell(text))


def with_odd_cells(notebook):
    notebook.cells += [
        new_raw_cell("<script>document.title='PWN'+'ED'</script>"),
        new_code_cell("x = '\0'"),
        new_code_cell("# -*- coding: utf-7 -*-\n+AAo-print(1)"),
        new_code_cell("from __future__ import braces"),
        new_code_cell("return 12"),
        new_code_cell("yield 12"),
        new_code_cell("break"),
        new_code_cell("'''"),
        new_code_cell('"""' * 3),
        new_code_cell("\\"),
        new_code_cell("\t if x:\n  \ty"),
        new_code_cell("\f\v\x1c\x85\u2028x = 1"),
        new_code_cell("{x:" * 50),
        new_code_cell("f'{f\"{1:{2:{3}}}\"}'"),
        new_code_cell("class"),
        new_code_cell("0777"),
        new_code_cell("print 'old'"),
        new_code_cell("1__000"),
        new_code_cell("9" * 5000),
        new_code_cell("x = " + "9" * 4000),
    ]


def deep_metadata(notebook):
    text = nbformat.writes(notebook)
    data = json.loads(text)
    data["metadata"]["deep"] = "HERE"
    text = json.dumps(data)
    return text.replace('"HERE"', "[" * 900 + "]" * 900).encode()


def twice_the_keys(notebook):
    text = nbformat.writes(notebook)
    return text.replace('"cells": [', '"cells": [], "cells": [', 1).encode()


def reordered(notebook):
    notebook.cells.reverse()


def answers_as_text(notebook):
    each = cell(notebook, "a-norm")
    each.cell_type = "markdown"
    each.source = "```python\n" + each.source + "\n```\n4.0"
    for key in ("outputs", "execution_count"):
        each.pop(key, None)


def first_answers_twice(notebook):
    extra = tagged("a-norm", WRONG, grade=False, solution=True, locked=False)
    notebook.cells.append(extra)


def shaped(name, change, **more):
    """Return an attack by the notebook's structure."""
    return Attack(name=name, change=change, **more)


ALL = (
    shaped(
        "brings easier tests",
        with_tests_of_its_own,
        answers={"a-norm": WRONG, "a-tally": "pass"},
    ),
    shaped(
        "brings each test twice",
        with_each_test_twice,
        answers={"a-norm": WRONG},
    ),
    shaped("forges points", with_forged_points, answers={"a-norm": WRONG}),
    shaped("forges negative points", with_negative_points),
    shaped("swaps the names of answers", with_swapped_names),
    shaped(
        "names its answers as tests",
        with_answers_as_tests,
        spoils=tuple(course.MOST),
    ),
    shaped("deletes the tests and all metadata", without_tests),
    shaped(
        "edits the given cell",
        with_edited_setup,
        answers={"a-norm": WRONG, "a-facts": "total, label, table = 1, '', 0"},
        # Its own answer compares with what it has patched.
        spoils=("t-accepts",),
    ),
    shaped(
        "forges limits and policy",
        with_forged_limits,
        answers={"a-norm": "pass"},
        verdicts={"t-norm": ("timeout",)},
    ),
    shaped("names another kernel", with_another_kernel),
    shaped("puts scripts into titles and metadata", with_titles),
    shaped(
        "forges outputs",
        with_forged_outputs,
        answers={"a-norm": WRONG},
    ),
    shaped("writes the marks of hidden tests", with_markers),
    shaped("uses every magic", with_magics),
    shaped("has cells that are no Python", with_odd_cells),
    shaped("nests metadata deeply", deep_metadata),
    shaped("has two lists of cells", twice_the_keys),
    shaped("has its cells in reverse", reordered, spoils=tuple(course.MOST)),
    shaped(
        "answers in text",
        answers_as_text,
        answers={"a-norm": WRONG},
    ),
    shaped(
        "answers twice, at last wrong",
        first_answers_twice,
        spoils=("t-norm",),
    ),
)
