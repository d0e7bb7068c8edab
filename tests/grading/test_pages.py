"""The frame of every page: its policy, its parts, its code."""

import html
import re
import time

import pytest
from grading import page_samples as samples
from grading.page_words import Words

from attncourse.grading.model import VERDICTS
from attncourse.grading.pages.feedback_html import as_html
from attncourse.grading.pages.frame import LABELS, MARKS
from attncourse.grading.pages.listing import code
from attncourse.grading.pages.sentences import MEANINGS


def test_the_page_names_its_parts_for_a_reader():
    page = as_html(samples.graded())
    words = Words(page)
    assert '<html lang="en">' in page
    assert page.count("<h1") == page.count("<main") == 1
    assert len(words.ids) == len(set(words.ids))
    assert set(words.links) <= set(words.ids)
    steps = [
        b - a for a, b in zip(words.levels, words.levels[1:], strict=False)
    ]
    assert max(steps) <= 1
    assert not re.search("<img(?![^>]*alt=)", page)


def test_no_mark_stands_without_its_words():
    page = as_html(samples.graded())
    for mark in re.findall('<span class="mark"([^>]*)>', page):
        assert "aria-hidden" in mark or "aria-label" in mark
    assert set(LABELS) == set(MARKS) == set(MEANINGS) == set(VERDICTS)


def test_the_page_forbids_all_that_it_does_not_need():
    page = as_html(samples.graded())
    policy = re.search('Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src ")
    assert "unsafe" not in policy
    assert page.index("Security-Policy") < page.index("<title>")
    assert "<script" not in page
    assert " style=" not in page
    assert not re.search("https?://", page)


def test_lines_are_numbered_as_the_student_counts_them():
    shown = code("\n\na = 1\r\nb = '''x\ny'''\n", here=4)
    lines = re.findall('<span class="l( here)?">(.*?)\n</span>', shown, re.S)
    assert len(lines) == 5
    assert [bool(here) for here, _ in lines] == [0, 0, 0, 1, 0]


def test_code_of_any_kind_is_shown():
    for source in ("", "\x00", "def (:", "'" * 3, "\ud800", "%%html\n<b>"):
        assert "<b>" not in code(source)


def test_code_keeps_every_letter_of_it():
    source = "def f(x1):  # a <b>\n    return rb'\\'' + '''a\nb\\''''\n+ 'open"
    shown = code(source)
    assert html.unescape(re.sub("<[^>]*>", "", shown)) == source + "\n"
    assert '<span class="d">f</span>' in shown
    assert '<span class="c"># a &lt;b&gt;</span>' in shown
    assert '<span class="k">return</span>' in shown
    assert "<span class=\"s\">rb'\\''</span>" in shown
    assert '<span class="n">' not in shown


@pytest.mark.parametrize("piece", ["'", '"', '""', "''\\", "r", "\\", "#"])
def test_no_code_takes_long(piece):
    start = time.perf_counter()
    code(piece * 40_000)
    assert time.perf_counter() - start < 2
