"""Write a test that tells right lookups from wrong ones."""

import numpy as np

from attncourse.checking import Audit, edited


def lookup(queries, keys, values, temperature):
    """Return what each query reads: the public right candidate."""
    scores = queries @ keys.T / temperature
    scores = scores - scores.max(axis=1, keepdims=True)
    exponentials = np.exp(scores)
    weights = exponentials / exponentials.sum(axis=1, keepdims=True)
    return weights @ values


def lookup_in_loops(queries, keys, values, temperature):
    """Return the same, one query after another."""
    rows = []
    for query in queries:
        scores = keys @ query / temperature
        exponentials = np.exp(scores - scores.max())
        rows.append(exponentials @ values / exponentials.sum())
    return np.stack(rows)


def lookup_in_single_precision(queries, keys, values, temperature):
    """Return the same, computed in single precision."""
    q, k, v = (np.asarray(x, np.float32) for x in (queries, keys, values))
    return lookup(q, k, v, np.float32(temperature))


QUESTION = Audit(
    id="lookup.audit",
    title="Write a test for a lookup",
    function_name="test_lookup",
    points=3,
    needed=9,
    right=(lookup, lookup_in_loops, lookup_in_single_precision),
    wrong=(
        edited(lookup, ("/ temperature", "* temperature")),
        edited(lookup, ("exponentials.sum(axis=1", "exponentials.sum(axis=0")),
        edited(lookup, ("weights @ values", "weights @ keys")),
    ),
    difficulty=3,
    importance=4,
    minutes=20,
    hints=(
        "What can you say about the result without computing it: one key, "
        "equal keys, a very low temperature?",
        "Use different numbers of queries, keys and columns, and values "
        "that are not symmetric.",
        "Work out small examples in loops, with fewer queries than keys and "
        "with as many, and compare with a tolerance. Then try very large "
        "scores, and look whether the arguments are still what they were.",
    ),
)
