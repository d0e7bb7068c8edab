"""A reader at work on one exercise of a page, for the browser's tests."""

import json
from pathlib import Path

FAKE = Path(__file__).with_name("browser") / "fake_engine.js"
DONE = '.live-result:not([data-verdict="busy"]):not([data-verdict=""])'


def anchor(question_id):
    """Return the id of a question's box."""
    return "live-" + question_id.replace(".", "-").replace("_", "-")


def kept(question_id):
    """Return the name under which the browser keeps an answer."""
    return f"attncourse.answer.{question_id}"


def pretend(page):
    """Let an engine that is made up answer, at once."""
    page.route(
        "**/_live/engine.js",
        lambda route: route.fulfill(
            body=FAKE.read_text("utf-8"), content_type="text/javascript"
        ),
    )


class Desk:
    """The box of one question, and what a reader does with it."""

    def __init__(self, page, question_id):
        self.page = page
        self.id = question_id
        self.box = page.locator(f"#{anchor(question_id)}")
        self.answer = self.box.locator(".live-answer")

    def press(self, name):
        self.box.get_by_role("button", name=name, exact=True).click()

    def write(self, text):
        """Open the editor by a click, and replace all that it holds."""
        if not self.answer.locator(".cm-content").count():
            self.answer.locator("pre").first.click()
        self.answer.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)

    def text(self):
        return self.box.evaluate("(box) => box.answer.text")

    def check(self):
        """Check, wait, and return the line that tells the result."""
        self.press("Check")
        return self.result()

    def result(self, timeout=60_000):
        self.box.locator(DONE).wait_for(timeout=timeout)
        return self.box.locator(".live-status").inner_text()

    def record(self, text):
        """Return what the browser keeps, once `text` is in it."""
        key, wanted = kept(self.id), json.dumps(text)
        self.page.wait_for_function(
            f"JSON.parse(localStorage.getItem('{key}') ?? '{{}}').text"
            f" === {wanted}"
        )
        return self.page.evaluate(
            "(key) => JSON.parse(localStorage.getItem(key))", key
        )

    def says(self, words):
        """Wait until a notice says something."""
        self.box.locator(".live-notices").get_by_text(words).wait_for()

    def notice(self):
        return self.box.locator(".live-notices").inner_text()

    def mark(self):
        return self.box.locator(".live-title .live-mark").inner_text()
