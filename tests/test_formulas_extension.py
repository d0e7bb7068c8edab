"""Letters and equations lead to what they mean and to what computes them."""

import json
import re

import formulas
import notation
import pytest
from prose import BOOK, ROOT

from attncourse import questions
from attncourse.ledger_tests import names_of_tests

CHAPTERS = {
    file.stem: file.read_text("utf-8")
    for file in sorted(BOOK.glob("[0-9][0-9]_*.md"))
}
each_chapter = pytest.mark.parametrize("name", CHAPTERS)
# What the ledger says of an equation that the package need not compute.
REASON = "in this chapter"


@each_chapter
def test_every_equation_with_a_number_has_a_row_in_the_ledger(name):
    rows = formulas.chapters()[name]
    listed = [label for row in rows for label in row.equations]
    assert sorted(listed) == sorted(formulas.labels(CHAPTERS[name]))


@each_chapter
def test_every_row_names_tested_code_or_says_why_not(name):
    for row in formulas.chapters()[name]:
        if row.code.startswith("question "):
            assert questions.load(formulas.CODE.findall(row.code)[0])
        elif not row.entries:
            assert row.code == REASON, row
        for entry in row.entries:
            assert names_of_tests(entry, ROOT / "tests"), entry.path


def test_code_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="got dense"):
        formulas.Row((), "`dense.nothing`").entries


def test_a_function_knows_its_equations():
    entry = formulas.entry_of("dense.attention")
    assert ("04_dense", "eq-dense-attention") in formulas.equations_of(entry)
    assert ("04_dense", "eq-dense-dv") not in formulas.equations_of(entry)


def test_labels_are_told_apart_without_capitals():
    made = [formulas.tests_label(each) for each in formulas.ledger.entries()]
    assert len(made) == len(set(made))


@pytest.mark.parametrize(
    ("tex", "letter", "colour", "sub"),
    [
        (r"\q_i", "q", "query", None),
        (r"\V", "V", "value", None),
        ("s_{ij}", "s", None, None),
        ("A", "A", None, None),
        ("d_k", "d", None, "k"),
        ("n", "n", None, ""),
        (r"\tau", "τ", None, ""),
    ],
)
def test_a_symbol_says_which_letters_it_covers(tex, letter, colour, sub):
    assert notation.symbol(tex) == {
        "letter": letter,
        "colour": colour,
        "sub": sub,
    }


def test_a_short_formula_reads_as_text():
    made = notation.html_of(r"\partial \q_i / \partial s_{jl}")
    assert made == (
        '∂<i class="course-query">q</i><sub>i</sub> / ∂<i>s</i><sub>jl</sub>'
    )


# What the build made of it.


@pytest.fixture(scope="module")
def rows(built_book):
    """Return the notation as the built pages know it."""
    text = (built_book / "_symbols" / "symbols.js").read_text("utf-8")
    return json.loads(re.search(r"NOTATION = (.*);\n", text)[1])


def test_every_row_of_the_notation_reaches_the_pages(rows):
    text = (BOOK / "notation.md").read_text("utf-8")
    assert len(rows) == text.count("\n* - $")
    for row in rows:
        assert row["says"]
        assert row["symbols"]
        assert row.get("shape") or row["units"]


def test_an_exception_stands_before_the_rule(rows):
    meanings = [
        (row.get("units"), row["says"])
        for row in rows
        if row["symbols"][0]["letter"] == "h"
    ]
    assert [units for units, _ in meanings] == [["01", "02"], ["07"], None]
    assert "bandwidth" in meanings[0][1]


@each_chapter
def test_an_equation_leads_to_code_and_back(built_book, name):
    page = (built_book / f"{name}.html").read_text("utf-8")
    shown = page.count('<p class="course-equation-code">')
    rows = formulas.chapters()[name]
    assert shown == sum(len(r.equations) for r in rows if r.entries)
    for row in rows:
        for entry in row.entries if row.equations else ():
            label = formulas.tests_label(entry).replace(".", "-")
            found = re.search(rf'href="(library/\w+\.html)#{label}"', page)
            assert found, entry.path
            there = (built_book / found[1]).read_text("utf-8")
            assert f'id="{label}"' in there
            assert f'href="../{name}.html#equation-' in there


def test_only_pages_with_formulas_load_the_notation(built_book):
    for name, unit in (("04_dense", "04"), ("notation", ""), ("grading", 0)):
        page = (built_book / f"{name}.html").read_text("utf-8")
        assert ("_symbols/symbols.js" in page) == (unit != 0), name
        assert unit == 0 or f'data-unit="{unit}"' in page
