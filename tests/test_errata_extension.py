"""The page of errors lists every box with its refutation."""

import errata
import pytest
from prose import BOOK


@pytest.mark.parametrize(
    ("box", "said"),
    [
        (
            ":::{admonition} The documents say (E12): average the keys\n:::\n",
            "Average the keys",
        ),
        (
            ":::{admonition} The documents say (E02)\n:class: x\n\n"
            "The scale is\nleft out, see {ref}`unit 03 <a>`. More.\n:::\n",
            "The scale is left out, see unit 03",
        ),
    ],
)
def test_the_errata_say_what_a_box_says(box, said):
    assert errata.claim(box) == said


def test_every_box_has_a_refutation_of_one_or_two_sentences():
    text = (BOOK / "errata.md").read_text("utf-8")
    inside = text.partition("```{errata}\n")[2].partition("\n```")[0]
    right = errata.refutations(inside)
    boxes = {
        label
        for page in BOOK.glob("[0-9]*.md")
        for label in errata.LABEL.findall(page.read_text("utf-8"))
    }
    assert right.keys() == boxes
    for label, said in right.items():
        sentences = said.replace("3.2.2", "").count(". ") + 1
        assert said.endswith("."), label
        assert sentences <= 2, label
