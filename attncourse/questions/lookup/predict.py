"""Predict what a lookup does when its parts change."""

from attncourse.checking import Prediction, Statement

CHANGES = ("stay equal", "become more even", "become more uneven", "depend")

QUESTION = Prediction(
    id="lookup.predict",
    title="Predict before you run",
    function_name="predict_lookup",
    points=2,
    statements={
        "shift_keys": Statement(
            "The same vector is added to every key. The weights of a soft "
            "lookup, softmax(q . k / temperature), ...",
            CHANGES,
        ),
        "double_query": Statement(
            "The query is doubled. The weights of a soft lookup (not all "
            "equal before) ...",
            CHANGES,
        ),
        "double_everything": Statement(
            "Queries, keys and bandwidth are doubled. The weights of the "
            "kernel regression ...",
            CHANGES,
        ),
        "copy_entry": Statement(
            "An entry with weight one half is written into the dictionary "
            "a second time. What its value contributes, both copies "
            "together, becomes ...",
            ("1/2", "2/3", "3/4", "1"),
        ),
    },
    difficulty=2,
    importance=3,
    minutes=10,
    hints=(
        "Write the weight of one key as a fraction of exponentials.",
        "A factor that stands in the numerator and in every term of the "
        "denominator cancels.",
    ),
)
