"""An edit of a function is a function, and a bad edit says why."""

import pytest

from attncourse.checking.edit import (
    EditError,
    body,
    edited,
    signature_and_docstring,
)


def double(x):
    """Return x + x, which is x times two."""
    total = x + x
    return total


def test_an_edit_changes_the_body_and_not_the_original():
    assert edited(double, ("x + x", "x * x"))(3) == 9
    assert double(3) == 6


def test_edits_compose():
    both = edited(
        double, ("x + x", "x * x"), ("return total", "return -total")
    )
    assert both(3) == -9


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([("nowhere", "")], "occurs 0 times"),
        ([("total", "y")], "occurs 2 times"),
        ([("x + x", "1"), ("+ x", "2")], "must not overlap"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(edits, message):
    with pytest.raises(EditError, match=message):
        edited(double, *edits)


def test_a_source_splits_into_what_is_given_and_what_is_written():
    assert signature_and_docstring(double).endswith('times two."""')
    assert body(double) == "    total = x + x\n    return total"
