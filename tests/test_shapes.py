"""The package keeps the shapes that its annotations promise."""

import inspect
import runpy
from pathlib import Path

import numpy as np
import pytest
from beartype import beartype
from jaxtyping import jaxtyped

from attncourse import ledger, shapes

RNG = np.random.default_rng(3)


def checked(function):
    """Return `function` with its annotations enforced at run time."""
    return jaxtyped(typechecker=beartype)(function)


def public_functions():
    """Return every public function of the reference, by module."""
    return {
        f"{each.module}.{each.name}": each.value
        for each in ledger.entries()
        if each.package == "reference" and inspect.isfunction(each.value)
    }


FOLDER = Path(__file__).parent / "shape_calls"
# One file a module, each with the calls of its public functions.
CALLS = {
    name: calls
    for file in sorted(FOLDER.glob("*.py"))
    for name, calls in runpy.run_path(str(file))["CALLS"].items()
}


def test_every_public_function_is_called():
    assert set(public_functions()) == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_annotated_shapes_hold_at_run_time(name):
    function = public_functions()[name]
    for args, kwargs in CALLS[name]:
        checked(function)(*args, **kwargs)


def test_a_broken_promise_would_be_noticed():
    def wrong(q: shapes.Queries, k: shapes.Keys) -> shapes.Weights:
        return np.zeros((3, 4))

    with pytest.raises(Exception, match=r"annotation|return|shape"):
        checked(wrong)(RNG.normal(size=(3, 5)), RNG.normal(size=(7, 5)))


def test_every_public_function_is_annotated_and_documented():
    for name, function in public_functions().items():
        signature = inspect.signature(function)
        for parameter in signature.parameters.values():
            assert parameter.annotation is not parameter.empty, name
        assert signature.return_annotation is not signature.empty, name
        assert len(signature.parameters) <= 6, name
        text = inspect.getdoc(function)
        assert ">>>" in text, f"{name} needs a doctest"


@pytest.mark.parametrize(
    ("value", "axes", "error", "message"),
    [
        ([1, "a"], "", TypeError, "q must hold real numbers: got dtype <U21"),
        ([[1], [1, 2]], "", TypeError, "q must be an array of real numbers"),
        ([1j], "", TypeError, "q must hold real numbers: got dtype complex"),
        ([True], "", TypeError, "q must hold real numbers: got dtype bool"),
        (
            [1.0],
            "queries dim",
            ValueError,
            r"q must have axes \(..., queries, dim\): got shape \(1,\)",
        ),
    ],
)
def test_real_says_what_must_hold_and_what_came(value, axes, error, message):
    with pytest.raises(error, match=message):
        shapes.real("q", value, axes)


def test_real_never_hands_back_the_callers_array():
    mine = np.zeros(3)
    shapes.real("q", mine)[0] = 1.0
    assert mine[0] == 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: shapes.boolean("mask", [1, 0]),
            TypeError,
            "mask must be boolean, True where a query may look: got dtype",
        ),
        (
            lambda: shapes.boolean("mask", [[True], [True, False]]),
            TypeError,
            "mask must be a boolean array: setting an array element",
        ),
        (
            lambda: shapes.boolean("mask", [True], "queries keys"),
            ValueError,
            r"mask must have axes \(..., queries, keys\): got shape \(1,\)",
        ),
        (
            lambda: shapes.require_broadcast(q=(2,), k=(3,)),
            ValueError,
            r"leading axes of q and k must broadcast: got q \(2,\), k \(3,\)",
        ),
        (
            lambda: shapes.count("heads", 2.5),
            TypeError,
            "heads must be a whole number: got 2.5",
        ),
        (
            lambda: shapes.count("heads", True),
            TypeError,
            "heads must be a whole number: got True",
        ),
        (
            lambda: shapes.count("heads", -1, least=0),
            ValueError,
            "heads must be at least 0: got -1",
        ),
    ],
)
def test_helpers_say_what_must_hold_and_what_came(call, error, message):
    with pytest.raises(error, match=message):
        call()
