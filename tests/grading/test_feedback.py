"""What a student reads, and what no student ever reads."""

import re

import mistune
import pytest
from grading import page_payloads as payloads
from grading import page_samples as samples
from grading.page_texts import QUESTIONS
from grading.page_words import Words

from attncourse.grading.classdata import Manual
from attncourse.grading.model import VERDICTS, Judged, Outcome, Script, Step
from attncourse.grading.pages.cards import gather
from attncourse.grading.pages.feedback_html import as_html
from attncourse.grading.pages.feedback_text import as_markdown
from attncourse.grading.pages.frame import LABELS
from attncourse.grading.pages.sentences import MEANINGS

FORMS = {"page": as_html, "markdown": as_markdown}


def made(form, outcome=None, notebook=None, **more):
    """Return a page's words, or the Markdown, of a graded notebook."""
    outcome = outcome or samples.outcome()
    notebook = notebook or samples.notebook()
    text = FORMS[form](gather(outcome, notebook, samples.plan(), **more))
    return Words(text).text if form == "page" else text.replace("\\", "")


MADE_BY_MARKDOWN = {
    *("h1", "h2", "h3", "p", "strong", "em", "blockquote", "ul", "li"),
    *("code", "pre", "table", "thead", "tbody", "tr", "th", "td"),
}
BOTH = pytest.mark.parametrize("form", ["page", "markdown"])


@BOTH
def test_every_verdict_is_said_with_its_points(form):
    text = made(form)
    for name, (title, _) in QUESTIONS.items():
        assert title in text, name
    for verdict in ("pass", "partial", "timeout", "error", "missing"):
        assert LABELS[verdict] in text
    assert "It had not finished after 4 s." in text
    assert "2 of 4 points" in text


@BOTH
def test_a_mistake_is_told_with_the_place_to_read(form):
    text = made(form)
    assert "normalised over the queries" in text
    assert 'Read: chapter 02_softmax, section "which axis"' in text
    assert "a row that sees nothing becomes zeros" in text


@BOTH
def test_statements_to_be_predicted_are_not_said_to_hold(form):
    statement = {"name": "a", "must": "If all grow, ...", "passed": False}
    told = samples.told("predict") | {"stages": [statement]}
    judged = samples.judged("predict", "fail", 0, told=told)
    text = made(form, samples.outcome(questions=(judged,)))
    assert "Part by part" in text
    assert "It must hold" not in text


@BOTH
def test_an_error_names_its_kind_and_the_students_own_line(form):
    assert "It stopped with ZeroDivisionError in line 3" in made(form)


@BOTH
def test_an_error_that_the_verdict_names_is_not_said_twice(form):
    judged = samples.judged(
        "mean",
        "error",
        0,
        error="ValueError",
        line=3,
        told=None,
        says="Calling mean_loss stopped with ValueError in line 3.",
    )
    text = made(form, samples.outcome(questions=(judged,)))
    assert text.count("ValueError") == 1


def test_the_guilty_line_stands_out_in_the_students_cell():
    page = as_html(samples.graded())
    here = re.findall('<span class="l here">(.*?)\n', page)
    assert len(here) == 2
    assert "picked" in here[1]


@BOTH
def test_a_substituted_answer_is_explained(form):
    assert "with the instructor's weigh in place of yours" in made(form)


@BOTH
def test_what_people_gave_counts_and_is_said(form):
    manual = (
        *samples.MANUAL,
        Manual(
            grade_id="repair-test",
            max_points=2,
            points=1,
            extra=0.5,
            comment="Right but for the loop.",
        ),
    )
    text = made(form, manual=manual)
    assert "Well seen." in text
    assert "Right but for the loop." in text
    assert "A person gave 1 point here; the test had given 0." in text
    # 3 + 2 + 1 + 0.5 + 2 by tests and people, 1.5 for the written answer.
    assert "10 of 18 points" in text


@BOTH
def test_a_written_answer_that_nobody_graded_waits(form):
    text = made(form)
    assert "1 written answer waits for a person" in text
    assert "waits for a person; 2 points at most" in text


@BOTH
def test_outputs_of_the_visible_run_are_shown(form):
    text = made(form)
    assert "a cell of my own" in text
    assert "a warning" in text


@BOTH
def test_the_isolation_level_is_said(form):
    assert samples.LEVEL in made(form)


@BOTH
def test_no_solution_and_no_hidden_test_is_shown(form):
    # A graded notebook holds the test's full source.
    text = made(form)
    assert "HIDDEN" not in text


@BOTH
def test_notes_and_flags_for_the_instructor_are_not_shown(form):
    outcome = samples.outcome(notes=("SECRET note",), flags=("SECRET flag",))
    assert "SECRET" not in made(form, outcome)


@BOTH
def test_of_a_hidden_failure_nothing_else_is_told(form):
    told = samples.told("weigh", ["rows"]) | {
        "error_message": "SECRET 1.25",
        "picture": "SECRET",
        "error": "SECRET",
        "line": "SECRET",
        "reason": "SECRET",
    }
    judged = Judged(
        grade_id="weigh-test",
        verdict="error",
        points=0,
        max_points=4,
        says="",
        told=told,
        error="SecretError",
    )
    text = made(form, samples.outcome(questions=(judged,)))
    assert "SECRET" not in text
    assert "SecretError" not in text


@BOTH
@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_course_that_publishes_nothing_gets_feedback(form, verdict):
    judged = Judged(
        grade_id="some_test", verdict=verdict, points=0, max_points=1, says=""
    )
    text = made(form, samples.outcome(questions=(judged,)))
    assert "some test" in text
    assert LABELS[verdict] in text
    assert MEANINGS[verdict] in text


@BOTH
@pytest.mark.parametrize(
    "told",
    [
        {},
        {"stages": "x", "misconceptions": 3, "notes": {}, "title": None},
        {"stages": [1, None, {}], "misconceptions": [[], {}], "notes": [3]},
        {"failed_stages": ["rows"], "diagnosis": ["nan_rows"]},
    ],
)
def test_told_may_have_any_form(form, told):
    judged = samples.judged("weigh", "fail", 0, told=told)
    assert "Not yet right" in made(form, samples.outcome(questions=(judged,)))


@BOTH
@pytest.mark.parametrize(
    "notebook",
    [
        None,
        [],
        {},
        {"cells": None},
        {"cells": [None, 3, {}, {"source": 3}, {"metadata": []}]},
        {"cells": [{"cell_type": "code", "source": ["a", "b", 3]}]},
        {"cells": [{"metadata": {"nbgrader": "x"}, "source": "x"}]},
    ],
)
def test_any_notebook_gets_feedback(form, notebook):
    text = FORMS[form](gather(samples.outcome(), notebook, samples.plan()))
    assert "18" in text


def test_an_outcome_without_questions_gets_a_page():
    empty = Outcome(student="", assignment="", questions=())
    page = as_html(gather(empty, {"cells": []}, samples.plan()))
    assert "(no name)" in page


@BOTH
def test_a_notebook_without_metadata_is_matched_by_the_script(form):
    notebook = samples.notebook()
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    script = Script(
        steps=(
            Step(do="cell", grade_id="weigh", index=4),
            Step(do="test", grade_id="weigh-test"),
        )
    )
    text = made(form, notebook=notebook, script=script)
    part = text.partition("2. Masked weights")[2].partition("3. Mend")[0]
    assert "def weigh" in part


@BOTH
def test_a_full_test_is_not_shown_even_where_a_script_is_given(form):
    script = Script(steps=(Step(do="cell", grade_id="weigh", index=4),))
    assert "HIDDEN" not in made(form, script=script)


def test_a_cell_that_claims_to_be_anothers_answer_is_not_taken_for_it():
    notebook = samples.notebook()
    forged = {"nbgrader": {"grade_id": "cache"}}
    notebook["cells"].append(
        {"cell_type": "code", "source": "FORGED", "metadata": forged}
    )
    script = Script(steps=(Step(do="cell", grade_id="cache", index=2),))
    page = as_html(
        gather(samples.outcome(), notebook, samples.plan(), script=script)
    )
    card = page.partition('id="q1"')[2].partition("</section>")[0]
    assert "cache_mask" in card
    assert "FORGED" not in card


def test_markdown_shows_hostile_text_as_it_is_and_no_element_of_it():
    for text in [*payloads.html("http://x/v"), *payloads.markdown("http://x")]:
        outcome = samples.outcome(text, isolation=text)
        notebook = samples.notebook({"weigh": f"```\n{text}\n~~~~\n````x"})
        source = as_markdown(gather(outcome, notebook, samples.plan()))
        drawn = mistune.create_markdown(escape=False, plugins=["table"])
        shown = drawn(source)
        kinds = set(re.findall(r"<(\w+)", shown))
        assert kinds <= MADE_BY_MARKDOWN, (text, kinds)


def test_what_is_code_in_the_courses_words_is_shown_as_code():
    stage = {"name": "a", "must": "`d_a` is *not* `a < b`", "passed": False}
    told = samples.told("predict") | {"stages": [stage]}
    judged = samples.judged("predict", "fail", 0, told=told)
    graded = samples.outcome(questions=(judged,))
    parts = graded, samples.notebook(), samples.plan()
    assert "<code>d_a</code> is *not* <code>a &lt; b</code>" in (
        as_html(gather(*parts))
    )
    assert r"`d_a` is \*not\* `a < b`" in as_markdown(gather(*parts))
