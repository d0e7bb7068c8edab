"""What students do to a notebook: cells moved, added, split, left out.

All of it is done to a notebook of the unit on the softmax that is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import nbformat

from attncourse.notebooks.release import written


def new(source: str) -> Any:
    """Return a cell of the student's own."""
    return nbformat.v4.new_code_cell(source)


def place(notebook: Any, grade_id: str) -> int:
    """Return where a cell of the release stands."""
    return next(
        index
        for index, cell in enumerate(notebook.cells)
        if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id
    )


def cell(notebook: Any, grade_id: str) -> Any:
    """Return a cell of the release."""
    return notebook.cells[place(notebook, grade_id)]


def split_over_cells(notebook: Any) -> None:
    at = place(notebook, "tempered")
    notebook.cells[at].source = (
        "def tempered(scores, temperature, axis):\n"
        "    return finish(*start(scores, temperature, axis))"
    )
    notebook.cells.insert(at, new(START))
    notebook.cells.insert(at + 2, new(FINISH))


START = """def start(scores, temperature, axis):
    highest = scores.max(axis=axis, keepdims=True)
    powers = np.exp((scores - highest) / temperature)
    return highest, powers, temperature, axis"""
FINISH = """def finish(highest, powers, temperature, axis):
    total = powers.sum(axis=axis, keepdims=True)
    peak = highest + temperature * np.log(total)
    return powers / total, peak.squeeze(axis)"""


def imports_below(notebook: Any) -> None:
    at = place(notebook, "tempered")
    answer = notebook.cells[at]
    answer.source = answer.source.replace("np.", "numpy.")
    notebook.cells.insert(at + 1, new("import numpy"))


def own_setup(notebook: Any) -> None:
    del notebook.cells[place(notebook, "setup")]
    first = "import numpy as np\nfrom attncourse import check"
    notebook.cells.insert(0, new(first))


def answer_moved_below_its_test(notebook: Any) -> None:
    moved = notebook.cells.pop(place(notebook, "tempered"))
    notebook.cells.insert(place(notebook, "tempered-test") + 1, moved)


def answer_in_a_new_cell(notebook: Any) -> None:
    answer = cell(notebook, "tempered")
    text, answer.source = answer.source, ""
    notebook.cells.insert(place(notebook, "tempered") + 1, new(text))


def tests_deleted(notebook: Any) -> None:
    notebook.cells = [
        each
        for each in notebook.cells
        if not each.metadata.get("nbgrader", {}).get("grade")
        or each.cell_type != "code"
    ]


def last_question_first(notebook: Any) -> None:
    first, last = place(notebook, "repair"), place(notebook, "repair-test")
    moved = notebook.cells[first : last + 1]
    del notebook.cells[first : last + 1]
    notebook.cells[2:2] = moved


def scratch_everywhere(notebook: Any) -> None:
    for at in range(len(notebook.cells), 0, -1):
        notebook.cells.insert(at, new(f"undefined_{at}"))


def wrong_above_right(notebook: Any) -> None:
    at = place(notebook, "tempered")
    text = "def tempered(scores, temperature, axis):\n    return scores"
    notebook.cells.insert(at, new(text))


def name_reused_below(notebook: Any) -> None:
    below = place(notebook, "tempered-test") + 3
    notebook.cells.insert(below, new("tempered = 3"))


def name_reused_above(notebook: Any) -> None:
    notebook.cells.insert(2, new("tempered = None\nweights = 5"))


def leans_on_an_earlier_answer(notebook: Any) -> None:
    cell(notebook, "gradients").source = LEANS


LEANS = """def gradients(scores, upstream, temperature):
    a, _ = tempered(scores, temperature, -1)
    mean = (a * upstream).sum(-1, keepdims=True)
    d = a * (upstream - mean) / temperature
    return d, -(d * scores).sum() / temperature"""


def checks_by_hand(notebook: Any) -> None:
    below = place(notebook, "tempered-test") + 1
    text = 'from attncourse import grade\ncheck("softmax.tempered", tempered)'
    text += '\ngrade("softmax.tempered", tempered)'
    notebook.cells.insert(below, new(text))


def a_module_of_its_own(notebook: Any) -> None:
    at = place(notebook, "tempered")
    text = notebook.cells[at].source
    head = "%%writefile mine.py\nimport numpy as np\n\n\n"
    notebook.cells[at].source = "from mine import tempered"
    notebook.cells.insert(at, new(head + text))


def data_in_a_file(notebook: Any) -> None:
    answer = cell(notebook, "tempered")
    answer.source = answer.source.replace(
        "highest = scores", "highest = np.load('one.npy')[0] * scores"
    )
    notebook.cells.insert(2, new("np.save('one.npy', np.ones(1))"))


def predictions_put_together(notebook: Any) -> None:
    answer = cell(notebook, "predict")
    name = "predict_weights"
    answer.source += f"\n\n\nchosen = dict({name}())\n{name} = lambda: chosen"


def timed_for_long(notebook: Any) -> None:
    cell(
        notebook, "tempered"
    ).source += "\n\n\n%timeit tempered(np.ones((600, 600)), 1.0, 0)"


def written_below_the_test(notebook: Any) -> None:
    answer = cell(notebook, "tempered")
    text, head = answer.source, answer.source.partition('"""')[0].rstrip()
    answer.source = f"{head}\n    raise NotImplementedError"
    below = place(notebook, "tempered-test") + 1
    notebook.cells.insert(below, new(text))


def imports_in_the_given_cell(notebook: Any) -> None:
    cell(notebook, "setup").source += "\nimport numpy"
    answer = cell(notebook, "tempered")
    answer.source = answer.source.replace("np.", "numpy.")


SHAPES: tuple[Callable[[Any], None], ...] = (
    split_over_cells,
    imports_below,
    own_setup,
    answer_moved_below_its_test,
    answer_in_a_new_cell,
    tests_deleted,
    last_question_first,
    scratch_everywhere,
    wrong_above_right,
    name_reused_below,
    name_reused_above,
    leans_on_an_earlier_answer,
    checks_by_hand,
    a_module_of_its_own,
    data_in_a_file,
    written_below_the_test,
    imports_in_the_given_cell,
    predictions_put_together,
)


def computed_for_six_seconds(notebook: Any) -> None:
    notebook.cells.insert(2, new(SLOW))
    answer = cell(notebook, "tempered")
    answer.source = answer.source.replace(
        "highest = scores", "highest = ONE * scores"
    )


SLOW = """import time
start, count = time.process_time(), 0
while time.process_time() - start < 6:
    count += 1
ONE = 1.0 + 0 * count"""


FILES = (
    "Windows line ends in the file",
    "Windows line ends in the cells, no ids",
    "a byte order mark",
    "UTF-16",
    "no metadata, other ids",
)


def files(notebook: Any) -> dict[str, bytes]:
    """Return a notebook as editors and systems write it."""
    text = written(notebook)
    data = json.loads(text)
    for each in data["cells"]:
        each.pop("id", None)
        each["source"] = "".join(each["source"]).replace("\n", "\r\n")
    data["nbformat_minor"] = 2
    bare = json.loads(text)
    for at, each in enumerate(bare["cells"]):
        each["metadata"] = {}
        each["id"] = f"x{at}"
    written_so = (
        text.replace("\n", "\r\n").encode(),
        json.dumps(data).encode(),
        b"\xef\xbb\xbf" + text.encode(),
        text.encode("utf-16"),
        json.dumps(bare).encode(),
    )
    return dict(zip(FILES, written_so, strict=True))
