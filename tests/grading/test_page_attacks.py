"""Hostile students against the pages, in a real browser."""

import re

import pytest
from grading import page_payloads as payloads
from grading import page_samples as samples
from grading.chromium import opened, visited
from grading.page_words import Elements

from attncourse.grading.classdata import ClassData, Manual, Row, Similar
from attncourse.grading.model import Judged, Outcome
from attncourse.grading.pages import markup, report
from attncourse.grading.pages.cards import gather
from attncourse.grading.pages.feedback_html import as_html
from attncourse.grading.pages.frame import policy
from attncourse.grading.pages.safe import name

pytestmark = pytest.mark.browser
OWN_ELEMENTS = """
html head meta title style body header main section footer nav svg rect line
text bdi
"""


def hostile_outputs(text, url):
    """Return outputs of every kind that hold a payload."""
    return [
        samples.stream(text),
        samples.stream(text, "stderr"),
        samples.shows(text_html=text, text_plain=text),
        samples.shows(text_markdown=text),
        samples.shows(text_latex=text),
        samples.shows(**{"image_svg+xml": text}),
        samples.shows(image_png=text, text_plain=text),
        samples.shows(application_javascript=payloads.RUN.format(url=url)),
        {
            "output_type": "error",
            "ename": text,
            "evalue": text,
            "traceback": [text, f"\x1b[31m{text}\x1b[0m"],
        },
    ]


def hostile_judged(count, text, url):
    """Return a judged question that holds a payload in every text."""
    names = ("title", "verdict", "error", "question")
    told = dict.fromkeys(names, text) | {
        "stages": [{"name": text, "must": text, "points": 1, "passed": False}],
        "misconceptions": [{"name": text, "says": text, "where": text}],
        "diagnosis": [text],
        "notes": [text],
        "failed_stages": [text],
        "line": text,
    }
    return Judged(
        grade_id=f"q{count}-test" if count % 2 else text,
        verdict="fail",
        points=0,
        max_points=1,
        says=text,
        told=told,
        error=text,
        shown=tuple(hostile_outputs(text, url)),
        substituted=(text,),
        flags=(text,),
    )


def hostile(url):
    """Return an outcome, its notebook and what people wrote about it."""
    texts = payloads.html(url) + payloads.markdown(url) + payloads.svg(url)
    cells = []
    outputs = {}
    evil = {"evil.png": {"image/png": f'x" onerror="{payloads.RUN}'}}
    for place, text in enumerate(texts):
        kind = "markdown" if place % 2 else "code"
        own = "why" if place == 1 else f"q{place}"
        cells.append(
            {
                "cell_type": kind,
                "source": text,
                "metadata": {"nbgrader": {"grade_id": own}},
                "attachments": evil,
            }
        )
        cells.append({"cell_type": "markdown", "source": text})
        outputs[str(2 * place)] = hostile_outputs(text, url)
    outcome = Outcome(
        student=texts[0],
        assignment=texts[4],
        questions=tuple(
            hostile_judged(count, text, url)
            for count, text in enumerate(texts)
        ),
        outputs=outputs,
        notes=tuple(texts),
        flags=tuple(texts),
        isolation=texts[0],
    )
    manual = tuple(
        Manual(grade_id=f"q{n}-test", max_points=1, points=1, comment=text)
        for n, text in enumerate(texts)
    )
    return outcome, {"cells": cells}, manual, texts


def feedback_page(url):
    """Return a page of feedback with every payload everywhere."""
    outcome, notebook, manual, _ = hostile(url)
    return as_html(gather(outcome, notebook, samples.plan(), manual=manual))


def report_page(url):
    """Return a class report of which every text is a payload."""
    outcome, _, manual, texts = hostile(url)
    rows = [
        Row(
            student=text,
            first_name=text,
            last_name=text,
            email=text,
            problem=text,
            feedback=text,
        )
        for text in texts
    ]
    rows += [
        Row(student=text, outcome=outcome, feedback=text, manual=manual)
        for text in texts[:3]
    ]
    similar = tuple(
        Similar(first=t, second=t, question=t, share=0.9, says=t)
        for t in texts
    )
    return report.html(
        ClassData(
            assignment=texts[0],
            rows=tuple(rows),
            plan=samples.plan(),
            similar=similar,
            made=texts[0],
            isolation=texts[0],
            key_file=texts[0],
            notes=tuple(texts),
        )
    )


def without_policy(page):
    """Return a page that only its cleaned contents protect."""
    bare = page.replace(policy(), "")
    assert bare != page
    return bare


def unsanitised(url):
    """Return the payloads as they are, under the pages' policy."""
    return (
        '<!DOCTYPE html><meta http-equiv="Content-Security-Policy" '
        f'content="{policy()}"><title>x</title>'
        + "".join(
            f"<div>{text}</div>"
            for text in payloads.html(url) + payloads.svg(url)
            # No policy of a page forbids to leave the page.
            if "refresh" not in text
        )
    )


def ran(page, tmp_path):
    """Return the page's tree after Chromium has opened it."""
    file = tmp_path / "page.html"
    file.write_text(page, "utf-8")
    tree, _ = opened(file, tmp_path, "--dump-dom")
    assert "</html>" in tree
    return tree


def test_the_payloads_do_act_where_nothing_holds_them(tmp_path):
    with visited() as (url, seen):
        for text in payloads.html(url)[:2]:
            ran(f"<title>x</title>{text}", tmp_path)
        loud = "".join(
            text
            for text in payloads.html(url)
            if "refresh" not in text and "textarea" not in text
        )
        tree = ran(f"<title>x</title><div>{loud}", tmp_path)
    assert "PWNED" in re.search("<title>(.*?)</title>", tree)[1]
    assert {"/v?js", "/v?src", "/v?img", "/v?css"} <= set(seen)


@pytest.mark.parametrize("make", [feedback_page, report_page])
def test_no_page_acts_even_without_its_policy(make, tmp_path):
    with visited() as (url, seen):
        tree = ran(without_policy(make(url)), tmp_path)
    assert seen == []
    title = re.search("<title>(.*?)</title>", tree, re.DOTALL)[1]
    assert title.startswith(("Feedback on", "Class report on"))
    # What the browser made of it holds nothing that could run or load.
    elements = Elements(tree).found
    kinds = {tag for tag, _ in elements}
    assert kinds <= {*OWN_ELEMENTS.split(), *markup.TAGS}, kinds
    assert sum(tag == "style" for tag, _ in elements) == 1
    keys = {key for _, attributes in elements for key in attributes}
    assert not {key for key in keys if key.startswith("on")}
    assert not keys & {"style", "srcset", "action", "ping", "background"}
    assert sum(tag == "meta" for tag, _ in elements) == 5
    for _, attributes in elements:
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert (
            not attributes.get("href", "")
            .lower()
            .startswith(("javascript", "data", "file", "//"))
        )


def test_the_policy_alone_would_hold_the_payloads(tmp_path):
    with visited() as (url, seen):
        tree = ran(unsanitised(url), tmp_path)
    assert "<title>x</title>" in tree
    assert seen == []


def test_the_pages_own_style_is_applied_under_its_policy(tmp_path):
    page = as_html(samples.graded())
    file = tmp_path / "page.html"
    file.write_text(page, "utf-8")
    tree, said = opened(
        file, tmp_path, "--dump-dom", "--enable-logging=stderr"
    )
    assert "Masked weights" in tree
    assert "Content Security Policy" not in said
    file.write_text(page.replace("</style>", "p {}</style>"), "utf-8")
    _, said = opened(file, tmp_path, "--dump-dom", "--enable-logging=stderr")
    assert "Content Security Policy" in said


def test_formgraders_markdown_does_not_act(tmp_path):
    with visited() as (url, seen):
        shown = "".join(
            markup.markdown(text)
            for text in payloads.html(url) + payloads.markdown(url)
        )
        tree = ran(f"<title>x</title>{shown}", tmp_path)
    assert seen == []
    assert "<title>x</title>" in tree


def test_a_name_stays_one_short_line():
    assert len(name("x" * 10_000)) <= 120
