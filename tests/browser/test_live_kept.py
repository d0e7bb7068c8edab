"""What the reader wrote is kept, not overwritten, and goes on to grading."""

import re
import warnings

import nbformat
import pytest
from course_grading import Engine, unit
from live_desk import Desk, anchor, kept, pretend
from nbformat.validator import validate
from prose import ROOT

from attncourse import questions

pytestmark = pytest.mark.browser


@pytest.fixture
def desk(page, live):
    """Return the first exercise of unit 04, with an engine made up."""
    pretend(page)
    page.goto(f"{live}04_dense.html")
    return Desk(page, "dense.attend")


def test_a_text_is_not_kept_over_one_that_it_has_not_seen(page, desk):
    kept_at_last = page.evaluate(
        """async () => {
          const { store } = await import("./_live/store.js");
          const seen = store.keepText("a.b", "old", "v", undefined).kept;
          store.keepText("a.b", "new", "v", seen.revision);
          const late = store.keepText("a.b", "late", "v", seen.revision);
          return [late.conflict, store.read("a.b").text];
        }"""
    )
    assert kept_at_last == [True, "new"]


def test_a_record_that_nobody_here_wrote_does_no_harm(page, desk):
    page.evaluate(
        "localStorage.setItem('attncourse.answer.dense.attend',"
        ' \'{"text": 5, "scratch": ["x"], "hints": "9", "right": 3}\')'
    )
    page.reload()
    desk.write("fine")
    assert set(desk.record("fine")) == {"text", "version", "revision"}
    assert desk.check().startswith("All right")


def test_two_tabs_do_not_overwrite_each_other(page, context, live, desk):
    desk.write("first")
    desk.record("first")
    other = context.new_page()
    pretend(other)
    other.goto(f"{live}04_dense.html")
    second = Desk(other, "dense.attend")
    assert second.text() == "first"
    second.write("second")
    second.record("second")
    # Nothing was unsaved here.
    desk.says("changed in another tab")
    assert desk.text() == "second"
    # Both write before either has heard of the other.
    desk.box.evaluate("(box) => { box.answer.text = 'mine' }")
    second.box.evaluate("(box) => { box.answer.text = 'theirs' }")
    for _ in range(100):
        page.wait_for_timeout(50)
        torn = [d for d in (desk, second) if "Nothing is over" in d.notice()]
        if torn:
            break
    (loser,) = torn
    mine = {desk: "mine", second: "theirs"}
    assert loser.text() == mine[loser], "nobody's text is thrown away"
    loser.record(mine[desk if loser is second else second])
    loser.press("Keep this one")
    loser.record(mine[loser])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("getItem", "does not let this page keep"),
        ("setItem", "store for this site is full"),
    ],
)
def test_it_works_where_nothing_can_be_kept(page, live, broken, said):
    error = {"getItem": "SecurityError", "setItem": "QuotaExceededError"}
    page.add_init_script(
        f"""for (const name of ["{broken}", "setItem"]) {{
          const real = Storage.prototype[name];
          Storage.prototype[name] = function (key, ...rest) {{
            if (!key.startsWith("attncourse.")) {{
              return real.call(this, key, ...rest);
            }}
            throw new DOMException("no", "{error[broken]}");
          }};
        }}"""
    )
    pretend(page)
    page.goto(f"{live}04_dense.html")
    desk = Desk(page, "dense.attend")
    desk.write("fine")
    desk.says(said)
    assert desk.check().startswith("All right")
    assert desk.mark() == "✓ solved"


def test_a_new_stub_leaves_the_readers_text_alone(page, desk):
    record = '{"text": "mine", "version": "old", "revision": "r"}'
    page.evaluate(
        "([key, record]) => localStorage.setItem(key, record)",
        [kept("dense.attend"), record],
    )
    page.reload()
    assert desk.text() == "mine"
    assert "has changed since you wrote this" in desk.notice()
    desk.press("Show the new stub")
    shown = desk.box.locator(".live-new-stub").inner_text()
    assert "raise NotImplementedError" in shown


def test_the_answers_go_into_the_notebook_and_are_graded(page, live):
    dense = unit("dense")
    right = {id_: dense.right(id_) for id_ in questions.ids("dense")}
    page.goto(f"{live}progress.html")
    page.evaluate(
        "(all) => all.forEach(([key, text]) => localStorage.setItem("
        "key, JSON.stringify({ text, revision: 'r' })))",
        [[kept(id_), text] for id_, text in right.items()],
    )
    page.reload()
    box = page.locator("#live-unit-dense")
    assert "0 of 5 solved, 5 tried" in box.inner_text()
    with page.expect_download() as coming:
        box.get_by_role("button", name="with my answers").click()
    assert coming.value.suggested_filename == "dense.ipynb"
    file = coming.value.path()
    box.get_by_text("with 5 answers of yours").wait_for()

    given = nbformat.read(
        ROOT / "exercises" / "04_dense" / "dense.ipynb", as_version=4
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled = nbformat.read(file, as_version=nbformat.NO_CONVERT)
        validate(filled)
    for before, after in zip(given.cells, filled.cells, strict=True):
        id_ = f"dense.{before.metadata.get('nbgrader', {}).get('grade_id')}"
        assert after.source == right.get(id_, before.source).rstrip()
        before.source = after.source = ""
    assert filled == given
    engine = Engine()
    try:
        judged = engine.judged(dense, file.read_bytes())
    finally:
        engine.close()
    for id_ in right:
        assert judged[id_].points == questions.load(id_).points


def test_the_overview_knows_every_question_and_can_forget(page, live):
    page.goto(f"{live}04_dense.html")
    page.evaluate(
        "([key, record]) => localStorage.setItem(key, record)",
        [kept("dense.attend"), '{"text": "mine", "right": "mine"}'],
    )
    page.goto(f"{live}progress.html")
    count = 0
    for name in questions.UNITS:
        count += len(questions.ids(name))
        for id_ in questions.ids(name):
            mark = anchor(id_).replace("live-", "live-mark-", 1)
            link = page.locator(f"#{mark} a").get_attribute("href")
            assert link == f"{questions.stem(name)}.html#{anchor(id_)}"
    total = page.locator(".live-sum").first
    assert re.search(
        rf"1 of {count} solved.*minutes are left", total.inner_text()
    )
    assert "✓ solved" in page.locator("#live-mark-dense-attend").inner_text()
    page.get_by_role("button", name="Reset all exercises").click()
    assert f"0 of {count} solved" in total.inner_text()
    page.get_by_role("button", name="Undo").click()
    assert f"1 of {count} solved" in total.inner_text()
    page.locator("#live-mark-dense-attend a").click()
    page.locator("#live-dense-attend .live-bar").wait_for()
