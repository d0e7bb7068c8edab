"""Predict what width, length and offset do to scores."""

from __future__ import annotations

from attncourse.checking import Prediction, Statement

QUESTION = Prediction(
    id="scores.predict",
    title="Predict before you run",
    function_name="predict_scores",
    points=3,
    statements={
        "width": Statement(
            "The width of random queries and keys, entries independent with "
            "mean 0 and variance 1, grows from 16 to 64. The standard "
            "deviation of their dot products is multiplied by",
            ("1", "2", "4", "8"),
        ),
        "saturate": Statement(
            "The same vectors with 8 keys and no scale; the width keeps "
            "growing. The largest weight of a typical query tends to",
            ("1/8", "1/2", "1"),
        ),
        "long_query": Statement(
            "One query is doubled. Its weights become more uneven under",
            ("dot scores only", "cosine scores only", "both", "neither"),
        ),
        "offset": Statement(
            "The same vector, not zero, is added to every key. In general "
            "this changes the weights under",
            ("dot scores only", "cosine scores only", "both", "neither"),
        ),
        "best_key": Statement(
            "Dividing all dot products by the square root of the width "
            "changes which key has the largest weight",
            ("never", "only at large widths", "for long keys", "often"),
        ),
        "bilinear": Statement(
            "Queries of width 4, keys of width 9 and a matrix W between "
            "them, all entries independent with mean 0 and variance 1. The "
            "variance of a bilinear score is",
            ("6", "9", "13", "36"),
        ),
    },
    difficulty=3,
    importance=4,
    minutes=15,
    hints=(
        "Which of these statements are about one row of scores, and which "
        "about all of them?",
        "Write each score as a sum and count its terms; ask of each change "
        "whether it adds to a row or multiplies it.",
    ),
)
