"""An exercise is solved in the page, by mouse and by keyboard."""

import re

import pytest
from live_desk import Desk, pretend

pytestmark = pytest.mark.browser

OVER_QUERIES = """\
def attend(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    powers = np.exp(scores - scores.max(axis=-2, keepdims=True))
    weights = powers / powers.sum(axis=-2, keepdims=True)
    return weights @ v, weights"""
RIGHT = OVER_QUERIES.replace("axis=-2", "axis=-1")
ENDLESS = "def attend(q, k, v):\n    while True:\n        pass"
UNFINISHED = "def attend(q, k, v):\n    scores = (q @ k.T\n    return scores"
ENGINE = re.compile(r"/_live/(pyodide|numpy|course|worker|engine|codemirror)")


@pytest.fixture
def desk(page, live):
    """Return the first exercise of unit 04, with an engine made up."""
    pretend(page)
    page.goto(f"{live}04_dense.html")
    return Desk(page, "dense.attend")


def test_a_question_is_solved_in_the_page(page, live):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{live}04_dense.html", wait_until="networkidle")
    desk = Desk(page, "dense.attend")
    assert [url for url in asked if ENGINE.search(url)] == []

    desk.write(OVER_QUERIES)
    assert desk.check().startswith("Not yet right: 0 of 7 parts hold")
    link = desk.box.locator(".live-diagnosis a").first
    assert "normalised over the queries" in link.locator("..").inner_text()
    place = link.get_attribute("href").partition("#")[2]
    assert page.locator(f"#{place}").count() == 1
    assert desk.box.locator(".live-picture svg").count() == 1
    assert desk.mark() == "◐ tried"

    desk.write(UNFINISHED)
    assert desk.check().startswith("It stopped with an error")
    assert "in line 2 of your answer" in desk.box.inner_text()
    line = desk.answer.locator(".live-error-line")
    assert line.inner_text().strip() == "scores = (q @ k.T"

    desk.write(ENDLESS)
    assert desk.check().startswith("Stopped: it took longer")

    desk.write(RIGHT)
    assert desk.check() == "All right: 4 of 4 points."
    assert desk.mark() == "✓ solved"
    sums = page.locator(".live-sum").inner_text()
    assert sums.startswith("1 of 5 solved")
    desk.press("Run")
    desk.box.get_by_text("weights [[0.73").wait_for()

    # The mark is about this text, not about one that was there before.
    desk.write(f"{RIGHT}\n# and more")
    desk.box.get_by_text("◐ tried").wait_for()
    desk.write(RIGHT)
    desk.box.get_by_text("✓ solved").wait_for()

    page.reload()
    assert desk.text() == RIGHT
    assert "axis=-1" in desk.answer.locator("pre").first.inner_text()
    assert desk.mark() == "✓ solved"


def test_the_keyboard_alone_is_enough(page, desk):
    desk.box.get_by_role("button", name="Write your answer").focus()
    page.keyboard.press("Enter")
    desk.answer.locator(".cm-content").wait_for()
    assert "Escape, then Tab" in desk.box.locator(".live-keys").inner_text()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("WRONG")
    page.keyboard.press("Tab")
    assert desk.text().strip() == "WRONG"
    assert desk.text() != "WRONG", "Tab indents"
    page.keyboard.press("Escape")
    page.wait_for_timeout(2100)  # CodeMirror itself waits for two seconds
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == "Check"
    page.keyboard.press("Enter")
    assert desk.result().startswith("Partly right: 1 of 2 parts hold")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("SYNTAX")
    page.keyboard.press("Control+Enter")
    go = desk.box.get_by_role("button", name="Go to line 1")
    go.focus()
    page.keyboard.press("Enter")
    focused = page.evaluate("document.activeElement.className")
    assert "cm-content" in focused


def test_python_loads_in_sight_and_can_be_stopped(page, desk):
    desk.write("LOOP")
    desk.press("Check")
    status = desk.box.locator(".live-status")
    desk.box.locator("progress").wait_for()
    assert "Loading Python" in status.inner_text()
    page.wait_for_function(
        "document.querySelector('.live-status').textContent.startsWith("
        "'Checking')"
    )
    desk.box.get_by_role("button", name="Stop").click()
    assert desk.result() == "Stopped."
    assert page.evaluate("document.activeElement.textContent") == "Check"
    desk.write("fine")
    assert desk.check().startswith("All right")
    desk.write("fine, too")
    assert "changed your text since" in desk.box.inner_text()


def test_hints_come_one_by_one_and_reset_can_be_undone(page, desk):
    hints = desk.box.locator(".live-hint")
    seen = [hint.is_visible() for hint in hints.all()]
    assert seen == [True, False, False]
    hints.first.locator("summary").click()
    hints.nth(1).wait_for()
    assert not hints.nth(2).is_visible()

    stub = desk.text()
    desk.write("mine")
    desk.record("mine")
    desk.press("Reset")
    assert desk.text() == stub
    desk.press("Undo the reset")
    assert desk.text() == "mine"
    desk.press("Reset")
    page.reload()
    assert hints.nth(1).is_visible()
    assert desk.text() == stub
    desk.press("Undo the reset")
    desk.record("mine")
    assert desk.notice() == ""


def test_without_codemirror_a_text_area_does(page, desk):
    page.route("**/_live/codemirror.js", lambda route: route.abort())
    desk.answer.locator("pre").first.click()
    area = desk.answer.locator("textarea")
    area.fill("WRONG")
    area.press("Control+Enter")
    assert desk.result().startswith("Partly right")
    area.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Check"


def test_a_page_says_so_if_python_cannot_be_loaded(page, live):
    page.route("**/_live/engine.js", lambda route: route.abort())
    page.goto(f"{live}04_dense.html")
    desk = Desk(page, "dense.attend")
    assert "could not be loaded" in desk.check()
    assert "solve this in the notebook" in desk.box.inner_text()


def test_an_answer_may_call_an_earlier_one(page, desk):
    desk.write("def attend(q, k, v):\n    return EARLIER")
    later = Desk(page, "dense.backward")
    later.write("def attend_backward(*a):\n    SYNTAX = attend(*a)")
    later.check()
    assert "in line 2 of your answer" in later.box.inner_text()
    source = page.evaluate(
        "import('./_live/engine.js').then((it) => it.engine.asked.at(-1)[1])"
    )
    assert source.index("EARLIER") < source.index("SYNTAX")
