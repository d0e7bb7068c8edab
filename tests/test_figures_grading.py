"""The chapter on grading shows what the engine is."""

from dataclasses import fields

import pytest

from attncourse.figures import figure_html
from attncourse.figures import grading as shown
from attncourse.grading.model import CELL_LIMITS, VERDICTS, Limits


@pytest.fixture
def page(monkeypatch):
    """Return what is put on a page."""
    put = []
    monkeypatch.setattr(shown, "display", lambda each: put.append(each.html))
    return put


def test_every_verdict_is_explained(page):
    shown.verdicts()
    assert shown.WHEN.keys() == set(VERDICTS)
    assert [f"<code>{each}</code>" in page[0] for each in VERDICTS] == [
        True for _ in VERDICTS
    ]


def test_every_limit_is_told_with_its_default(page):
    shown.limits()
    assert shown.HOLDS.keys() == {each.name for each in fields(Limits)}
    times = "".join(
        f"<td>{limits.wall_s:g} s</td>" for limits in (Limits(), CELL_LIMITS)
    )
    assert times in page[0]
    assert page[0].count("<tr>") == 1 + len(fields(Limits))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("cpu_s", 0.5, "0.5 s"),
        ("file_bytes", 3 << 20, "3 MiB"),
        ("file_bytes", 1536, "1.5 KiB"),
        ("file_bytes", 7, "7 bytes"),
        ("threads", 13, "13"),
    ],
)
def test_a_limit_is_said_in_its_unit(name, value, said):
    assert shown.amount(name, value) == said


def test_the_drawing_is_small_and_in_the_page_s_colours():
    html = figure_html(shown.paths(), alt="boxes and arrows between them")
    assert html.startswith('<figure class="course-figure"><svg')
    assert "var(--course-ink" in html
    assert "var(--course-faint" in html


def test_the_linter_s_advice_is_shown_for_the_line_that_it_means(page):
    shown.advice(
        "def f(x):\n    return x",
        ["assert f(2) == 2", "y = f(2)\nassert f.__code__ is not None"],
    )
    fine, wrong = page[0].split("<tr>")[2:]
    assert "f(2) == 2" in fine
    assert "nothing to change" in fine
    assert "f.__code__ is not" in wrong
    assert "judge what it returns" in wrong


def test_measured_costs_are_told_against_the_first(page):
    cost = {"submissions": 11, "start_s": 1.0, "where": {}}
    shown.speed(
        {
            "device": {"name": "<A>", "cores": 3},
            "date": "2026-02-03T04:05:06+00:00",
            "command": "measure it",
            "costs": [
                cost
                | {"grader": "nbgrader", "workers": 1}
                | {"cpu_s": 2.6, "wall_s": 3.5},
                cost
                | {"grader": "attncourse", "workers": 3}
                | {"cpu_s": 0.05, "wall_s": 0.025},
                cost
                | {"grader": "attncourse", "workers": 1}
                | {"cpu_s": 0.08, "wall_s": 0.08}
                | {"where": {"judging": 0.06, "the rest": 0.02}},
            ],
        }
    )
    assert "<td>2,600 ms</td>" in page[0]
    assert "<td>50 ms</td><td>25 ms</td><td>52</td><td>140</td>" in page[0]
    assert "<td>judging</td><td>60 ms</td><td>75%</td>" in page[1]
    assert "3 February 2026 by <code>measure it</code>" in page[2]
    assert "3 cores (&lt;A&gt;)" in page[2]
