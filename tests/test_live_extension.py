"""A question becomes live by its name, and by its right name only."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from prose import BOOK, ROOT, chapters

from attncourse import questions

sys.path.append(str(BOOK / "_ext"))
from live_questions import exercise, notebook_of

CONF = """\
extensions = ["myst_parser", "live_assets", "live"]
myst_enable_extensions = ["dollarmath"]
exclude_patterns = ["out"]
"""


def built(folder, text):
    """Build a book of one page without the engine's files."""
    (folder / "conf.py").write_text(CONF)
    (folder / "index.md").write_text(f"# Page\n\n{text}\n")
    paths = [str(ROOT), str(BOOK / "_ext")]
    return subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html"),
            *(str(folder), str(folder / "out")),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "ATTNCOURSE_LIVE": "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def live(name):
    return f"```{{live}} {name}\n```\n"


def test_every_question_is_live_in_its_chapter_and_only_there():
    for unit in questions.UNITS:
        text = (BOOK / f"{questions.stem(unit)}.md").read_text("utf-8")
        for id_ in questions.ids(unit):
            places = [
                page.name
                for page in chapters()
                if f"{{live}} {id_}\n" in page.read_text("utf-8")
            ]
            assert places == [f"{questions.stem(unit)}.md"], id_
        assert text.count(f"{{live-progress}} {unit}\n") == 1


@pytest.mark.parametrize("unit", questions.UNITS)
def test_the_page_asks_what_the_notebook_asks(unit):
    file = notebook_of(unit)
    cells = {
        cell.id: cell.source
        for cell in nbformat.read(file, as_version=4).cells
    }
    for id_ in questions.ids(unit):
        asked = exercise(id_)
        assert asked.stub == cells[asked.cell]
        assert "raise NotImplementedError" in asked.stub
        prompt = cells[f"{asked.cell}-prompt"]
        assert asked.prompt
        assert "details" not in asked.prompt
        assert asked.prompt.splitlines()[0] in prompt
        assert [part.split()[0] for part in asked.meta[2:]] == [
            "about",
            "difficulty",
        ]
        if asked.question.kind in ("repair", "predict"):
            assert asked.before or asked.tried


def test_without_the_engine_a_page_shows_the_stub_and_the_way(tmp_path):
    done = built(tmp_path, live("dense.attend") + "\n" + live("masks.mend"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "NotImplementedError" in page
    assert "Hint 3 of 3" in page
    assert "exercise.js" not in page
    assert 'href="_live/live.css"' in page
    (notebook,) = (tmp_path / "out" / "_downloads").rglob("dense.ipynb")
    assert json.loads(notebook.read_text("utf-8"))["cells"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dense.atend", "question must be one of dense.attend,"),
        ("dens.attend", "unit must be one of lookup,"),
        ("dense", "question must be one of dense.attend,"),
    ],
)
def test_a_wrong_name_fails_the_build_and_says_the_right_ones(
    tmp_path, name, said
):
    done = built(tmp_path, live(name))
    assert done.returncode != 0
    assert said in done.stderr
    assert "index.md" in done.stderr


def test_a_question_is_live_once(tmp_path):
    done = built(tmp_path, 2 * (live("dense.attend") + "\n"))
    assert done.returncode != 0
    assert "dense.attend must be live in one place" in done.stderr


def test_what_needs_torch_leads_to_the_notebook(tmp_path):
    notebook = json.loads(notebook_of("dense").read_text("utf-8"))
    setup = next(c for c in notebook["cells"] if c["id"] == "setup")
    setup["source"] = ["import torch\n"]
    copy = tmp_path / "dense.ipynb"
    copy.write_text(json.dumps(notebook), encoding="utf-8")
    assert exercise("dense.attend").runs_here
    assert not exercise("dense.attend", copy).runs_here


def test_a_question_that_its_notebook_does_not_ask_is_refused(tmp_path):
    other = notebook_of("masks")
    with pytest.raises(ValueError, match=r"masks.ipynb must ask dense.attend"):
        exercise("dense.attend", other)
