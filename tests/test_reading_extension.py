"""Chapter heads, map, search and weight are made from what is there."""

import importlib.util
import sys

import pytest
from prose import BOOK

from attncourse import questions


def extension(name):
    spec = importlib.util.spec_from_file_location(
        f"{name}_extension", BOOK / "_ext" / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


lean = extension("lean")
sections = extension("sections")
syllabus = extension("syllabus")
each_unit = pytest.mark.parametrize("name", questions.UNITS)


# Heads and map.


@each_unit
def test_a_chapters_minutes_are_its_words_and_its_questions(name):
    unit = syllabus.unit(name)
    minutes = sum(questions.load(i).minutes for i in questions.ids(name))
    assert 0 <= unit.solving - minutes < 5
    assert 10 <= unit.reading <= 90
    assert unit.questions == len(questions.ids(name))


@each_unit
def test_what_a_unit_builds_on_is_what_its_chapter_says_one_needs(name):
    unit = syllabus.unit(name)
    text = (BOOK / f"{unit.stem}.md").read_text("utf-8")
    needed = text[text.index("You need") :].partition("\n:::")[0]
    for each in unit.needs:
        assert f"nit {questions.stem(each)[:2]}" in needed, each


def test_listings_do_not_count_as_words():
    listing = "````{code}\none two\n```\nthree\n````\n"
    assert syllabus.words(f"four five\n{listing}six\n") == 3


def test_a_unit_cannot_build_on_a_later_one(monkeypatch, tmp_path):
    (tmp_path / "book").mkdir()
    front = "course:\n  asks: What?\n  needs: [heads]\n"
    chapter = tmp_path / "book" / "02_softmax.md"
    chapter.write_text(f"---\n{front}---\n# Softmax\n")
    monkeypatch.setattr(syllabus, "ROOT", tmp_path)
    syllabus.unit.cache_clear()
    with pytest.raises(ValueError, match="units before it"):
        syllabus.unit("softmax")


def test_no_badge_without_a_repository_and_two_with_one():
    unit = syllabus.unit("dense")
    assert "hosted" not in syllabus.head(unit)
    head = syllabus.head(unit, "somebody/course@term 2")
    assert "mybinder.org/v2/gh/somebody/course/term%202?" in head
    assert "course/blob/term%202/exercises/04_dense/dense.ipynb" in head
    # A badge is a link and words: nothing is fetched to show it.
    assert "<img" not in head
    assert "/blob/main/" in syllabus.head(unit, "somebody/course")


def test_the_map_links_every_unit_and_draws_every_prerequisite():
    drawn = syllabus.course_map()
    needs = [each.needs for each in syllabus.units()]
    assert drawn.count("<path") == sum(map(len, needs))
    for each in syllabus.units():
        assert f'href="{each.page}"' in drawn
    assert "builds on 2, 4, 5 and 6" in drawn


# Search.

PAGE = r"""<nav>menu</nav><article class="bd-article"><section id="top">
<h1>4. Dense<a class="headerlink" href="#top">#</a></h1><p>First words.</p>
<section id="one"><h2>One <em>query</em></h2><p>An inline
<span class="math">\(\softmax(Q)\)</span>, a picture:</p>
<svg role="img" aria-label="two bars"><path d="M0"/><text>k1</text></svg>
<pre><span>attention_weights</span><span>(q)</span></pre>
<script>let secret</script><h3>Exercise</h3></section><p>Last words.</p>
<dl class="py function"><dt class="sig" id="a.b.mean">mean(x)</dt>
<dd><p>Average.</p><dl class="field-list"><dt>x</dt><dd>a number</dd></dl>
<p>More.</p></dd></dl><p>The end.</p></section></article>"""


@pytest.fixture
def found():
    return {each.id: each for each in sections.sections(PAGE)}


def test_a_section_has_its_own_words_and_its_pages_title(found):
    assert list(found) == ["top", "one", "a.b.mean"]
    assert found["one"].title == "One query"
    assert found["one"].page == found["top"].title == "4. Dense"
    assert found["top"].text == "First words. Last words. The end."


def test_formulas_pictures_and_code_are_words_for_the_search(found):
    assert "softmax (Q)" in found["one"].text
    assert "two bars" in found["one"].text
    assert "attention_weights(q)" in found["one"].text
    assert "secret" not in found["one"].text
    assert "k1" not in found["one"].text
    assert found["one"].text.endswith("Exercise")


def test_a_function_is_a_place_of_its_own(found):
    assert found["a.b.mean"].title == "mean"
    assert found["a.b.mean"].text == "mean(x) Average. x a number More."


# Weight.


def test_icons_that_nobody_shows_leave_the_style_sheet():
    name = sorted(lean.ICONS)[0]
    rule = f'.fa-{name}:before,.fa-other:before{{content:"\\f100"}}'
    kept = lean.NAMING.sub(
        lean.named, f'a{{}}{rule}.fa-x:before{{content:"\\f200"}}'
    )
    sign = 'content:"\\f100"'
    assert kept == f'a{{}}.fa-{name}:before{{{sign};{sign}/""}}'
    assert lean.signs(kept, 'b{content:"\\f10d"}', "\uf111") == {
        0xF100,
        0xF10D,
        0xF111,
    }
