"""Four predictions about attention, to be made before the experiment."""

from __future__ import annotations

from attncourse.checking import Prediction, Statement

QUESTION = Prediction(
    id="dense.predict",
    title="Predict before you run",
    function_name="predict_attention",
    points=2,
    statements={
        "all_scores_grow": Statement(
            "Every score in the matrix grows by 100. The weights",
            ("stay equal", "become more even", "become more uneven"),
        ),
        "entered_twice": Statement(
            "Every key, together with its value, is entered a second time. "
            "The output",
            ("stays equal", "is halved", "is doubled"),
        ),
        "values_moved": Statement(
            "The same vector c is added to every value. The output of "
            "each query",
            (
                "stays equal",
                "moves by c",
                "moves by c times the number of keys",
                "moves by a part of c that differs between queries",
            ),
        ),
        "one_key_changed": Statement(
            "In self-attention with weights that are all positive, the key "
            "of token 3, and nothing else, is replaced at random. The "
            "outputs that change are",
            ("that of token 3", "all but that of token 3", "all"),
        ),
    },
    difficulty=2,
    importance=4,
    minutes=8,
    hints=(
        "For the first: unit 02 has the answer. By which factor does each "
        "exponential of a row change?",
        "For the second and third: what do the weights of a row sum to, "
        "before and after?",
        "For the fourth: which rows of weights contain a number that was "
        "computed from key 3?",
    ),
)
