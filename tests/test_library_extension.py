"""The library's pages read a docstring of this project as it is meant."""

import importlib.util

from prose import BOOK

from attncourse import ledger

SPEC = importlib.util.spec_from_file_location(
    "library_extension", BOOK / "_ext" / "library.py"
)
library = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(library)

DOC = """Return something.

Parameters
----------
q, k : shapes of
    two lines.
v : a number.

Source: Somebody (2001),
"A Title".

Examples
--------
>>> 1
1"""


def styled(text):
    lines = text.split("\n")
    library.house_style(None, "function", "f", None, None, lines)
    return "\n".join(lines)


def test_the_source_stands_before_the_sections_it_would_join():
    assert styled(DOC).index("Somebody") < styled(DOC).index("Parameters")
    assert 'Somebody (2001),\n"A Title".\n\nParameters\n---' in styled(DOC)


def test_what_follows_a_name_is_its_description():
    assert "q, k\n    shapes of\n    two lines.\nv\n    a number." in styled(
        DOC
    )


def test_a_docstring_without_sections_stays_as_it_is():
    plain = "Return something.\n\nSource: Somebody (2001)."
    assert styled(plain) == plain


def test_every_public_object_has_its_place_on_a_page():
    text = "\n".join(
        line
        for _, stems in ledger.MECHANISMS
        for line in library.mechanism_lines(list(stems))
    )
    for entry in ledger.entries():
        assert f":: {entry.path}\n" in text
    overview = "\n".join(library.ledger_lines())
    for entry in ledger.entries():
        assert f"<{entry.path}>" in overview
