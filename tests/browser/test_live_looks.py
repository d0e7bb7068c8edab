"""Exercises on a phone, in the dark, without scripts, and not at all."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from course_answers import of_unit
from live_desk import Desk, anchor, pretend

from attncourse import questions

pytestmark = pytest.mark.browser
AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PHONE = {"width": 390, "height": 800}


def look(page, live):
    """Open what can be opened, and show all that a check can show."""
    pretend(page)
    page.goto(f"{live}04_dense.html")
    desk = Desk(page, "dense.attend")
    desk.box.locator(".live-try summary").click()
    desk.box.get_by_role("button", name="Change this code").click()
    desk.box.locator(".live-scratch .cm-content").wait_for()
    desk.box.locator(".live-hint summary").first.click()
    long = " + ".join(["a long line"] * 20)
    desk.write(f"SYNTAX = 'WRONG', 1  # and more\ndef f():\n    return {long}")
    assert desk.check().startswith("Partly right")
    desk.press("Reset")
    desk.press("Undo the reset")
    desk.check()
    assert violations(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, "nothing may make the page scroll sideways"


def violations(page):
    """Return what axe finds in the first exercise and in the list."""
    found = Axe().run(
        page,
        context={"include": [["#live-dense-attend"], ["live-progress"]]},
        options={"runOnly": AA},
    )
    return [
        (each["id"], node["target"])
        for each in found.response["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.profile(viewport=PHONE, color_scheme="dark")
def test_an_exercise_is_accessible_on_a_phone_in_the_dark(page, live):
    look(page, live)


def test_an_exercise_is_accessible_in_the_light(page, live):
    look(page, live)


@pytest.mark.profile(java_script_enabled=False)
def test_without_scripts_there_is_the_stub_and_the_way_on(page, site):
    page.goto(f"{site}04_dense.html")
    box = page.locator("#live-dense-attend")
    assert "raise NotImplementedError" in box.inner_text()
    assert box.locator(".live-answer .highlight span").count() > 10
    assert box.locator(".live-hint").count() == 3
    assert box.locator("button").count() == 0
    way = box.locator(".live-way")
    assert way.inner_text().startswith("Write your answer in the unit")
    answer = page.request.get(
        f"{site}{way.locator('a').get_attribute('href')}"
    )
    ids = [cell["id"] for cell in answer.json()["cells"]]
    assert "attend" in ids


@pytest.mark.parametrize("name", ["index", "notation", "library/dense"])
def test_other_pages_load_nothing_of_it(page, site, name):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}{name}.html", wait_until="networkidle")
    assert [url for url in asked if "/_live/" in url] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", questions.UNITS)
def test_every_question_works_in_the_page(page, live, name):
    page.goto(f"{live}{questions.stem(name)}.html")
    for id_, answers in of_unit(name).items():
        desk = Desk(page, id_)
        put = f"(text) => document.getElementById('{anchor(id_)}')"
        put += ".answer.text = text"
        for right in (True, False, None):
            known = [a for a in answers if a.right is right]
            known = [a for a in known if "torch" not in a.source]
            for answer in known[: 1 if right is None else 3]:
                page.evaluate(put, answer.source)
                said = desk.check()
                good = ("All right", "All predictions are made")
                assert said.startswith(good) == (right is not False), said
                named = desk.box.locator(".live-diagnosis a").all()
                for link in named:
                    href = link.get_attribute("href")
                    assert page.request.get(f"{live}{href}").ok
        page.evaluate(put, answers[0].source)
        desk.press("Run")
        assert desk.result().startswith("It ran"), id_
