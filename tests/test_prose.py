"""The lint of the chapters can fail, and lets through what it should."""

import prose
import pytest


@pytest.mark.parametrize(
    "line",
    [
        "The weight is 0.731.",
        "There are 1797 images, or 1,797.",
        "Then $e^{0.5}$ is more.",
        "$$\nx = 2.5\n$$",
        "```{math}\nx = 2.5\n```",
        ":::{note}\n:class: tip\nIt took 250 steps.\n:::",
        "::::{a}\n:::{b}\ninner\n:::\nIt took 250 steps.\n::::",
        ":::{admonition} All 512 of them\ntext\n:::",
        "- item with 17.5 %",
        "after code\n```python\nx = 1.5\n```\nit is 1.5",
        "{ref}`the 128 keys <masks-x>`",
        '```{code-cell} python\nfig.show(f, alt="a", caption="is 0.3")\n```',
        '```{code-cell} python\nfig.show(f, alt=f"{x:.2f} or 0.3")\n```',
    ],
)
def test_a_typed_number_is_found(line):
    assert len(prose.typed_numbers("# Title\n\n" + line)) > 0


@pytest.mark.parametrize(
    "line",
    [
        "Two queries and 7 keys make 14 scores; $10^4$, E12, x86.",
        "It is {glue:text}`weight_0.5`, see {cite:t}`watson1964`.",
        "```python\nx = 0.731\n```",
        "```{code-cell} python\n:tags: [remove-cell]\nx = 0.731\n```",
        "````{dropdown} Code\n```{literalinclude} a.py\n:lines: 100-200\n"
        "```\n````",
        "(e12)=\n(lookup-1000)=",
        "`np.full(3, 0.5)` and https://example.org/1234.5678",
        "[paper](https://arxiv.org/abs/1706.03762)",
        "the wavelength $10000^{2i/d}$ or $10\\,000$ of the definition",
        "by {cite:t}`vaswani2017`, 3.2.2 and {cite:p}`shaw2018`",
        "as in section 3.2.1, equations 2.1 and 2.2, or appendix 1.5",
        '```{code-cell} python\nfig.show(f, alt=f"it is {x:.3f}")\n```',
    ],
)
def test_what_was_not_typed_as_a_result_is_let_through(line):
    assert prose.typed_numbers("---\na: 0.13\n---\n# T\n\n" + line) == []


def test_words_that_belittle_are_found():
    assert prose.banned_words("It is Simply so, obviously, just so.") == [
        "line 1: Simply",
        "line 1: obviously",
        "line 1: just",
    ]
    assert prose.banned_words("Adjust `just` justice\n```\njust\n```") == []


def test_a_figure_without_alt_and_a_broken_listing_are_found(tmp_path):
    cell = "```{code-cell} python\nx = 1\nfig.show(f)\n```\n"
    assert prose.without_words(cell) == [2]
    (tmp_path / "a.py").write_text("def f(): pass\n")
    page = tmp_path / "page.md"
    for path, name, wrong in (
        ("a.py", "f", []),
        ("a.py", "g", ["a.py has no g"]),
        ("b.py", "f", ["b.py does not exist"]),
    ):
        page.write_text(
            f"```{{literalinclude}} {path}\n:pyobject: {name}\n```\n"
        )
        assert prose.broken_listings(page) == wrong


def test_labels_and_citations_are_read():
    text = "(a-b)=\n# T\n{cite:t}`x1` {cite}`y2, z3`\n"
    assert prose.labels(text) == ["a-b"]
    assert prose.citations(text) == {"x1", "y2", "z3"}
    assert prose.bibliography("@book{x1,\n}\n@misc{y2,\n") == ["x1", "y2"]
