"""The invented class makes real mistakes, and is graded no more than once."""

import nbformat
import pytest
from notebooks.cells import COURSE, points, synced

from attncourse import questions
from attncourse.checking import Question
from attncourse.notebooks import report, sample, sync

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


def hand_in(folder, fill):
    who = [("ada", "04_dense", sample.Hand("says", fill))]
    report.hand_in(COURSE, folder, who)
    return report.grade(COURSE, folder, ["04_dense"]).scores


def test_what_has_not_changed_is_not_graded_again(tmp_path, capsys):
    synced("04_dense")
    scores = hand_in(tmp_path, sample.all_right)
    assert scores == {("ada", "04_dense"): MOST}
    graded = tmp_path / "autograded" / "ada" / "04_dense" / "dense.ipynb"
    before = graded.stat().st_mtime_ns
    assert hand_in(tmp_path, sample.all_right) == scores
    assert graded.stat().st_mtime_ns == before
    assert hand_in(tmp_path, sample.untouched) == {("ada", "04_dense"): 0}
    assert graded.stat().st_mtime_ns > before


def test_the_table_shows_scores_and_who_did_not_hand_in():
    hand = sample.Hand("knows everything", sample.all_right)
    who = [
        ("ada", "04_dense", hand),
        ("bao", "05_masks", hand),
        ("eve", "05_masks", hand),
    ]
    scores = {
        ("ada", "04_dense"): 16.0,
        ("bao", "05_masks"): 7.5,
        ("eve", "05_masks"): None,
    }
    most = {"04_dense": 18.0, "05_masks": 20.0}
    lines = report.table(scores, most, who)
    assert lines[1].split() == ["ada", "16", "-", "knows", "everything"]
    assert lines[2].split() == ["bao", "-", "7.5", "knows", "everything"]
    assert lines[3].split()[:4] == ["eve", "-", "not", "graded"]
    assert lines[4].split() == ["of", "18", "20"]
