"""The invented class makes real mistakes, and is graded no more than once."""

import json

import nbformat
import pytest
from notebooks.cells import COURSE, points

from attncourse import questions
from attncourse.checking import Question
from attncourse.notebooks import report, sample, sync
from attncourse.notebooks.classroom import Class

ASKED = {id_: questions.load(id_) for id_ in questions.ids("dense")}
SOURCE = sync.source_of(COURSE, "04_dense")
BLANK = nbformat.read(COURSE.exercise("04_dense"), as_version=4)
MOST = sum(question.points for question in ASKED.values())


def total(notebook):
    tests = {c.id: c for c in SOURCE.cells if c.id.endswith("-test")}
    for cell in notebook.cells:
        if cell.id in tests:
            cell.source = tests[cell.id].source
    return sum(
        earned
        for earned in points(notebook).values()
        if isinstance(earned, float)
    )


@pytest.mark.parametrize(
    ("hand", "least", "most"),
    [
        (sample.all_right, MOST, MOST),
        (sample.untouched, 0, 0),
        (sample.first_half, 1, MOST - 1),
        (sample.mistaken(0), 1, MOST - 1),
        (sample.mistaken(3), 1, MOST - 1),
        (sample.two_at_once, 1, MOST - 1),
        (sample.broken_syntax, 1, MOST - 1),
        (sample.single_precision, MOST, MOST),
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
def test_each_hand_earns_what_it_should(hand, least, most):
    assert least <= total(hand(SOURCE, BLANK, ASKED)) <= most


def test_a_mistaken_answer_is_the_misconception_itself():
    for question in ASKED.values():
        if not isinstance(question, Question):
            continue
        for each in question.misconceptions:
            source = sample.edited_source(question, each)
            for _, new in each.edits:
                assert new in source


def test_two_mistakes_are_two_even_where_the_first_ones_overlap():
    question = ASKED["dense.attend"]
    pair = sample._composable(question)
    assert len(pair) == 2
    question.wrong(*pair)


@pytest.mark.parametrize("units", [2, 5, 7])
def test_a_dozen_hand_in_and_each_unit_at_least_twice(units):
    stems = [f"{index:02}_unit" for index in range(1, units + 1)]
    who = sample.plan(stems)
    assert 12 <= len(who) <= 20
    assert len({(student, stem) for student, stem, _ in who}) == len(who)
    for stem in stems:
        assert sum(each == stem for _, each, _ in who) >= 2
    hands = {hand.says for _, _, hand in who}
    assert hands == {hand.says for hand in sample.USUAL + sample.ODD}


class Recorder:
    """Stands in for nbgrader and says which steps were asked for."""

    def __init__(self):
        self.said = []

    def __getattr__(self, name):
        return lambda *given, **named: self.said.append((name, *given))


def test_what_has_not_changed_is_not_graded_again(tmp_path, capsys):
    import contextlib

    class_, recorder = Class(COURSE, tmp_path), Recorder()
    class_.steps = lambda: contextlib.nullcontext(recorder)
    who = [("ada", "04_dense", sample.Hand("all", sample.all_right))]
    stems = ["04_dense"]
    report.hand_in(class_, who)
    assert report.grade(class_, stems) == []
    assert [step[0] for step in recorder.said] == [
        "generate",
        "autograde",
        "feedback",
        "export",
    ]
    report.hand_in(class_, who)
    report.grade(class_, stems)
    assert len(recorder.said) == 4
    assert "Nothing has changed" in capsys.readouterr().out

    who = [("ada", "04_dense", sample.Hand("none", sample.untouched))]
    report.hand_in(class_, who)
    report.grade(class_, stems)
    assert len(recorder.said) == 8
    assert json.loads((tmp_path / "done.json").read_text()).keys() == {
        "04_dense"
    }


def test_the_table_shows_scores_of_the_export_and_who_did_not_hand_in(
    tmp_path,
):
    class_ = Class(COURSE, tmp_path)
    hand = sample.Hand("knows everything", sample.all_right)
    who = [("ada", "04_dense", hand), ("bao", "05_masks", hand)]
    rows = [
        {
            "student_id": student,
            "assignment": stem,
            "score": score,
            "max_score": "18.0",
        }
        for student, stem, score in (
            ("ada", "04_dense", "16.0"),
            ("bao", "04_dense", "0.0"),
            ("bao", "05_masks", "7.5"),
        )
    ]
    lines = report.table(rows, class_, ["04_dense", "05_masks"], who)
    assert lines[1].split() == ["ada", "16", "-", "knows", "everything"]
    assert lines[2].split() == ["bao", "-", "7.5", "knows", "everything"]
    assert lines[3].split() == ["of", "18", "18"]
