import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncourse.grading.inside import wire
from attncourse.grading.model import Limits
from attncourse.grading.sandbox.replies import Budget, Called, called
from attncourse.grading.sandbox.shown import checked_outputs

KNOWN = (
    *("output_type", "stream", "stdout", "text", "data", "metadata"),
    *("error", "traceback", "name", "builtin", "message", "ValueError"),
    *("execute_result", "display_data", "text/html"),
)
TEXTS = st.text(max_size=6) | st.sampled_from(KNOWN)
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.binary(max_size=3)
    | st.just(np.zeros(2))
    | st.just(wire.Handle(3)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS | st.integers(), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=8,
)
PARTS = (
    *("value", "failed", "args", "kwargs", "outputs", "subclasses"),
    *("gradients", "unsendable"),
)
TIMES = {"cpu_s": 0.0, "wall_s": 0.0}


@given(st.dictionaries(st.sampled_from(PARTS), ANY, max_size=4))
def test_any_answer_is_taken_apart_or_refused(told):
    try:
        came = called(told | TIMES)
    except (ValueError, TypeError, KeyError):
        return
    assert isinstance(came, Called)
    json.dumps(came.outputs, allow_nan=False)
    Budget(Limits()).show(came.outputs)


@given(ANY | st.lists(ANY, max_size=2))
def test_outputs_are_nbformats_or_refused(told):
    try:
        outputs = checked_outputs(told)
    except (ValueError, TypeError):
        return
    for output in json.loads(json.dumps(outputs, allow_nan=False)):
        assert output["output_type"] in (
            *("stream", "error", "display_data", "execute_result"),
        )


def test_only_what_nbformat_knows_is_left_of_an_output():
    told = {
        "output_type": "display_data",
        "data": {
            "text/html": "<b>",
            "application/json": {"a": float("nan"), 1: (2,)},
            "no mime": "x",
            "text/html; x=\n": "y",
        },
        "metadata": {},
        "transient": {"display_id": "x"},
    }
    (output,) = checked_outputs([told])
    assert output == {
        "output_type": "display_data",
        "data": {
            "text/html": "<b>",
            "application/json": {"a": None, "1": [2]},
        },
        "metadata": {},
    }


def test_a_failure_is_near_to_a_real_exception():
    failure = {
        "name": "x" * 999,
        "builtin": "OSError",
        "message": "m" * 99_999,
        "cell": 3,
        "line": -1,
        "memory": 1,
    }
    failed = called({"failed": failure, **TIMES}).failed
    assert (len(failed.name), len(failed.message)) == (200, 4_000)
    assert (failed.cell, failed.line, failed.memory) == (None, None, False)
    with pytest.raises(ValueError, match="built-in exception"):
        called({"failed": failure | {"builtin": "eval"}, **TIMES})
