"""What an instructor reads of a class."""

import csv
import io
import re

import pytest
from grading import page_samples as samples
from grading.class_samples import klass
from grading.page_words import Words

from attncourse.grading.classdata import ClassData, Manual, Row
from attncourse.grading.model import Judged, Outcome
from attncourse.grading.pages import report
from attncourse.grading.pages.charts import bins
from attncourse.grading.pages.tally import tally


def one(student, verdict="fail", points=0.0, **more):
    """Return a row with a single judged question."""
    judged = samples.judged("weigh", verdict, points, **more)
    outcome = Outcome(
        student=student, assignment="05_masks", questions=(judged,)
    )
    return Row(student=student, outcome=outcome)


def data(*rows, **more):
    return ClassData(
        assignment="05_masks", rows=rows, plan=samples.plan(), **more
    )


@pytest.mark.parametrize("size", [0, 1, 2, 5, 60, 500])
def test_a_class_of_any_size_gets_a_report(size):
    page = report.html(klass(size))
    words = Words(page)
    assert page.count("<main") == page.count("<h1") == 1
    assert set(words.links) <= set(words.ids)
    assert len(words.ids) == len(set(words.ids))
    assert "nan" not in words.text.split()
    assert len(page) < 1_500_000


def test_misconceptions_are_counted_by_student():
    told = samples.told("weigh", ["rows"], ["over_queries", "nan_rows"])
    fewer = samples.told("weigh", ["rows"], ["over_queries"])
    rows = (one("a", told=told), one("b", told=fewer), one("c", "pass", 4))
    found = tally(data(*rows)).mistakes
    assert [(m.name, m.students) for m in found] == [
        ("over_queries", ["a", "b"]),
        ("nan_rows", ["a"]),
    ]
    text = Words(report.html(data(*rows))).text
    assert "2 67% Your weights are normalised over the queries" in text


def test_a_mistake_told_twice_counts_once():
    told = samples.told("weigh", ["rows"], ["nan_rows", "nan_rows"])
    (found,) = tally(data(one("a", told=told))).mistakes
    assert found.students == ["a"]


def test_who_is_not_graded_is_said_to_be_and_counts_for_nothing():
    rows = (
        one("graded", "pass", 4.0),
        Row(student="later"),
        Row(student="absent", handed_in=False),
        Row(student="broken", problem="masks.ipynb is empty"),
    )
    counted = tally(data(*rows))
    assert counted.points == [4.0]
    text = Words(report.html(data(*rows))).text
    assert "later not graded" in text
    assert "absent nothing handed in" in text
    assert "broken unreadable: masks.ipynb is empty" in text
    lines = list(csv.DictReader(io.StringIO(report.csv(data(*rows)))))
    assert [line["points"] for line in lines] == ["4", "", "", ""]
    assert [line["status"] for line in lines] == [
        "graded",
        "not graded",
        "nothing handed in",
        "unreadable",
    ]


def test_points_by_people_count_in_the_report():
    row = one("a", "fail", 0.0)
    manual = (
        Manual(grade_id="weigh-test", max_points=4, points=3, extra=0.5),
        Manual(grade_id="why", max_points=2, points=1.0),
        Manual(grade_id="how", max_points=2),
    )
    row = Row(student="a", outcome=row.outcome, manual=manual, penalty=0.25)
    assert row.points == 4.25
    assert row.max_points == 8.0
    assert row.waiting == 1


def test_what_a_person_should_look_at_comes_first():
    told = Outcome(
        student="a",
        assignment="05_masks",
        questions=(
            samples.judged(
                "weigh", "error", 0, flags=("the test itself failed",)
            ),
        ),
        flags=("uses numpy.linalg",),
        notes=("cells are in another order",),
        isolation="none: students are trusted",
    )
    page = report.html(data(Row(student="a", outcome=told)))
    look = Words(page.partition('id="points"')[0]).text
    assert "Masked weights and their totals: the test itself failed" in look
    assert "uses numpy.linalg" in look
    assert "cells are in another order" in look
    assert "1 submission ran without isolation" in look


def test_similar_answers_are_never_called_copied():
    page = report.html(klass(60))
    assert "s002" in page
    assert "93%" in page
    assert "Similar is all that it says" in page
    assert not re.search(
        "cop(y|ied)|cheat|plagiar",
        Words(page).text.replace("Keep a copy of the key", ""),
    )


def test_a_question_that_nobody_solves_is_named():
    rows = [one(f"s{n}") for n in range(6)]
    page = report.html(data(*rows))
    look = page.partition('id="points"')[0]
    assert "Hardly anybody solved these" in look


def test_every_verdict_of_every_question_is_counted():
    class_ = klass(60)
    counted = tally(class_)
    graded = sum(1 for _ in class_.graded())
    for each in counted.questions:
        assert sum(each.verdicts.values()) == graded
        assert len(each.seconds) == graded


def test_the_table_has_a_row_for_everybody_and_no_formula():
    rows = (
        Row(student="=1+1", first_name="@sum", last_name="+1", email="-2"),
        one("b", told={"misconceptions": [{"name": "=cmd"}]}),
    )
    lines = list(csv.DictReader(io.StringIO(report.csv(data(*rows)))))
    assert len(lines) == 2
    for line in lines:
        for value in line.values():
            assert not value.startswith(tuple("=+-@"))


def test_a_course_that_publishes_nothing_gets_a_report():
    judged = Judged(
        grade_id="sort_test", verdict="pass", points=0, max_points=0, says=""
    )
    outcome = Outcome(student="a", assignment="x", questions=(judged,))
    class_ = ClassData(
        assignment="x", rows=(Row(student="a", outcome=outcome),)
    )
    assert "sort test" in report.html(class_)
    assert '"sort_test verdict"' in report.csv(class_)


def test_titles_and_means_stand_in_the_table_of_questions():
    rows = (one("a", "pass", 4.0), one("b", "partial", 2.0))
    text = Words(report.html(data(*rows))).text
    assert "2. Masked weights and their totals 3 / 4 75%" in text
    assert "1 of 2 all right" in text


def test_how_to_grade_again_is_said_with_a_name_that_no_shell_expands():
    page = report.html(data(Row(student="$(rm x)`y`")))
    assert "--student &#x27;$(rm x)`y`&#x27; --again" in page
    assert "secret key" in page


def test_links_lead_to_feedback_and_nowhere_else():
    rows = (
        Row(student="a", feedback="feedback/a b/x.html"),
        Row(student="b", feedback="javascript:alert(1)"),
        Row(student="c", feedback="//evil.org/x"),
    )
    page = report.html(data(*rows))
    links = re.findall('href="([^"#]+)"', page)
    assert links == ["feedback/a%20b/x.html"]


def test_steps_of_points_hold_everybody_once():
    for most in (1, 2, 5, 12, 18, 37.5, 100, 1000):
        points = [most * k / 97 for k in range(98)]
        steps = bins(points, most)
        assert sum(amount for _, amount in steps) == 98
        assert 2 <= len(steps) <= 13
    assert sum(amount for _, amount in bins([150.0, -1.0], 100)) == 2


def test_the_data_of_a_report_turn_into_json_and_back():
    class_ = klass(30)
    assert ClassData.from_json(class_.to_json()) == class_
