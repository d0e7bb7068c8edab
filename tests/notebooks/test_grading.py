"""Only the value of a test decides a grade, and feedback repeats nothing."""

import pytest
from nbformat.notebooknode import from_dict

from attncourse import questions
from attncourse.checking.draw import as_html
from attncourse.checking.result import VERDICT_MIME
from attncourse.notebooks.feedback import keep_pages_only, rebuilt
from attncourse.notebooks.grading import settled
from attncourse.notebooks.safety import clean

CANARY = "q1w2e3-canary"
ATTEND = questions.load("dense.attend")


def value(text):
    return from_dict(
        {"output_type": "execute_result", "data": {"text/plain": text}}
    )


def stream(name):
    return from_dict({"output_type": "stream", "name": name, "text": CANARY})


def error(name):
    return from_dict({"output_type": "error", "ename": name, "evalue": CANARY})


def verdict(**told):
    told = {"question": "dense.attend", **told}
    return from_dict(
        {"output_type": "display_data", "data": {VERDICT_MIME: told}}
    )


def kinds(outputs):
    return [output.output_type for output in outputs]


def test_a_word_on_standard_error_costs_nothing():
    kept = settled([stream("stderr"), value("3.5")], 4)
    assert kept == [value("3.5")]


def test_the_last_value_and_the_last_verdict_count():
    first, last = verdict(points=9), verdict(points=1)
    kept = settled([first, value("4.0"), last, value("1.0")], 4)
    assert kept == [last, value("1.0")]


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [stream("stdout")],
        [value("'full marks'")],
        [value("5.0")],
        [value("-1")],
        [value("nan")],
        [value("inf")],
        [value("4.0"), error("ValueError")],
    ],
    ids=str,
)
def test_a_test_without_a_proper_value_scores_zero(outputs):
    assert "error" in kinds(settled(outputs, 4))


def test_a_verdict_is_rebuilt_from_the_question_s_own_names():
    known = ATTEND.misconceptions[0].name
    told = verdict(
        points=1e9,
        failed_stages=["one_key", CANARY, 7, [CANARY]],
        diagnosis=[known, CANARY],
        error=CANARY,
        line=CANARY,
        verdict=CANARY,
        notes=[CANARY, {}],
    )
    result = rebuilt(ATTEND, [told, stream("stdout")], score=3.5)
    assert [each.name for each in result.diagnosis] == [known]
    assert [s.name for s in result.stages if not s.passed] == ["one_key"]
    assert result.points == 3.5
    assert CANARY not in as_html(result, where={}) + repr(result)


@pytest.mark.parametrize(
    "told", [CANARY, [CANARY], {"diagnosis": CANARY}, {"failed_stages": 3}, {}]
)
def test_a_forged_verdict_of_any_shape_says_nothing(told):
    data = {VERDICT_MIME: told}
    if isinstance(told, dict):
        told["question"] = "dense.attend"
    forged = from_dict({"output_type": "display_data", "data": data})
    result = rebuilt(ATTEND, [forged], score=0)
    assert CANARY not in repr(result)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("CellTimeoutError", "did not finish"),
        ("NameError", "is the function defined"),
        (CANARY, "could not call"),
    ],
)
def test_a_test_that_could_not_run_says_why(name, says):
    result = rebuilt(ATTEND, [error(name)], score=0)
    assert result.verdict == "error"
    assert says in result.notes[0]
    assert CANARY not in repr(result)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>x()</script>",
        "<img src=x onerror=x()>",
        '<img src="https://example.org/who-reads">',
        "<svg onload=x()></svg>",
        '<a href="javascript:x()">a</a>',
        '<iframe src="https://example.org"></iframe>',
        '<p style="background:url(https://example.org)">a</p>',
        '<form action="https://example.org"><input></form>',
        "<style>body{display:none}</style>",
        '<meta http-equiv="refresh" content="0">',
        '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
    ],
)
def test_what_a_student_writes_cannot_act(hostile):
    shown = clean(f"<p>before</p>{hostile}<p>after</p>")
    assert "<p>before</p>" in shown
    for word in ("<script", "on", "src=", "href=", "<iframe", "url(", "<form"):
        tags = "".join(part.split(">")[0] + ">" for part in shown.split("<"))
        assert word not in tags
    assert "<style" not in shown
    assert "<meta" not in shown


def test_pictures_of_an_answer_are_kept():
    picture = '<img src="data:image/png;base64,iVBORw0KGgo=">'
    assert clean(picture) == picture


def test_only_pages_stay_in_a_feedback_folder(tmp_path):
    folder = tmp_path / "feedback" / "ada" / "04_dense"
    (folder / "deep").mkdir(parents=True)
    for name in ("dense.html", "leak.txt", "leak.html", "deep/x"):
        (folder / name).write_text(CANARY)
    (folder / "link.html").symlink_to(folder / "dense.html")
    graded = tmp_path / "autograded" / "ada" / "04_dense" / "dense.ipynb"
    keep_pages_only(assignment="*", student="*", notebooks=[str(graded)])
    assert [item.name for item in folder.iterdir()] == ["dense.html"]


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("timestamp.txt", "2026-11-21 05:46:12.123456 UTC\n", True),
        ("timestamp.txt", CANARY, False),
        ("submission_secret.txt", "J8zMGLIgwrk5", True),
        ("submission_secret.txt", f"<b>{CANARY}", False),
    ],
)
def test_the_labels_of_a_submission_come_from_the_submission(
    tmp_path, name, text, kept
):
    for step, content in (
        ("submitted", text),
        ("autograded", CANARY),
        ("feedback", CANARY),
    ):
        folder = tmp_path / step / "ada" / "04_dense"
        folder.mkdir(parents=True)
        (folder / name).write_text(content)
    graded = tmp_path / "autograded" / "ada" / "04_dense" / "dense.ipynb"
    keep_pages_only(assignment="*", student="*", notebooks=[str(graded)])
    copy = folder / name
    assert copy.exists() == kept
    assert not kept or copy.read_text() == text
