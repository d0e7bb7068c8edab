"""Everything public has its source, its example and its tests, and a page."""

import dataclasses
import inspect
from pathlib import Path

import pytest
import yaml

from attncourse import ledger
from attncourse.ledger_tests import names_of_tests

TESTS = Path(__file__).parent
BOOK = TESTS.parent / "book"
STEMS = [stem for _, stems in ledger.MECHANISMS for stem in stems]


def named(entries):
    return {"argvalues": entries, "ids": [each.path for each in entries]}


def is_record(value):
    """Tell whether a class only holds numbers together."""
    return dataclasses.is_dataclass(value) or hasattr(value, "_fields")


def test_every_module_belongs_to_one_mechanism():
    assert len(STEMS) == len(set(STEMS))
    found = {ledger.stem(each.module) for each in ledger.entries()}
    assert found == set(STEMS)


@pytest.mark.parametrize("entry", **named(ledger.entries()))
def test_a_public_object_says_what_it_is_and_is_tested(entry):
    assert entry.says.endswith("."), "its first paragraph is a sentence"
    assert names_of_tests(entry, TESTS), "some test names it"
    if is_record(entry.value):
        return
    assert entry.source, "its docstring says where it comes from"
    assert ">>>" in entry.doc, "its docstring shows an example"


def test_every_paper_of_a_source_is_in_the_bibliography():
    text = (BOOK / "references.bib").read_text(encoding="utf-8")
    titles = ledger.bibliography(text)
    for entry in ledger.entries():
        found = ledger.keys_of(entry.source, titles)
        named = {
            paper[0].partition(', "')[0]
            for paper in ledger.PAPER.finditer(entry.source)
        }
        assert named == set(found), f"{entry.path}: {entry.source}"


def test_every_module_that_computes_has_an_equation():
    with_equations = {
        ledger.stem(each.module)
        for each in ledger.entries()
        if each.has_equation
    }
    assert with_equations == set(STEMS)


def test_every_name_that_a_module_offers_is_there():
    for package in ledger.PACKAGES:
        for name, module in ledger.modules(package):
            for each in getattr(module, "__all__", ()):
                assert hasattr(module, each), f"{name}.{each}"


@pytest.mark.parametrize(("title", "stems"), ledger.MECHANISMS)
def test_every_mechanism_has_its_page_in_the_book(title, stems):
    page = BOOK / "library" / f"{stems[0]}.md"
    text = page.read_text(encoding="utf-8")
    assert f"# {title}\n" in text
    assert f"```{{mechanism}} {' '.join(stems)}\n```" in text
    parts = yaml.safe_load((BOOK / "_toc.yml").read_text())["parts"]
    pages = [
        section["file"]
        for part in parts
        for chapter in part["chapters"]
        for section in chapter.get("sections", ())
    ]
    assert f"library/{stems[0]}" in pages


def test_a_test_counts_for_what_its_helpers_use(tmp_path):
    folder = tmp_path / "reference"
    folder.mkdir()
    (folder / "test_heads.py").write_text(
        "from attncourse.reference import heads as h\n"
        "from attncourse.reference.heads import merge_heads\n"
        "TABLE = [merge_heads]\n"
        "def helper():\n    return h.split_heads\n"
        "def test_one_thing():\n    helper()\n"
        "def test_another_thing():\n    TABLE\n"
    )
    by_name = {each.name: each for each in ledger.of("heads")}
    split, merge = by_name["split_heads"], by_name["merge_heads"]
    found = {
        each.name: names_of_tests(each, tmp_path)
        for each in ledger.of("heads")
        if each.package == "reference"
    }
    assert found["split_heads"] == ["one thing"]
    assert found["merge_heads"] == ["another thing"]
    assert not found["project"]
    assert inspect.isfunction(split.value)
    assert merge.package in ledger.PACKAGES


def test_a_source_leads_to_the_bibliography():
    titles = {
        "yang2024gla": "{Gated} Linear Attention Transformers with ...",
        "yang2024delta": "Parallelizing Linear Transformers with the ...",
        "shaw2018": "Self-Attention with Relative Position Representations",
    }
    source = (
        'Yang et al. (2024), "Gated linear attention"; Shaw, Uszkoreit &'
        " Vaswani (2018), section 3; Nobody (2018)."
    )
    assert ledger.keys_of(source, titles) == {
        "Yang et al. (2024)": "yang2024gla",
        "Shaw, Uszkoreit & Vaswani (2018)": "shaw2018",
    }
    assert ledger.keys_of("Yang et al. (2024).", titles) == {}
