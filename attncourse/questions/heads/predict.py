"""Five predictions about heads, to be made before the experiment."""

from __future__ import annotations

from attncourse.checking import Prediction, Statement

HOW_MUCH = ("halves", "stays equal", "doubles", "grows fourfold")

QUESTION = Prediction(
    id="heads.predict",
    title="Predict what more heads do",
    function_name="predict_heads",
    points=2.5,
    statements={
        "parameters": Statement(
            "Twice as many heads, each half as wide, so that the layer "
            "keeps its width. The number of trained numbers",
            HOW_MUCH,
        ),
        "score_flops": Statement(
            "In the same change, the number of operations for all scores "
            "together",
            HOW_MUCH,
        ),
        "weights_kept": Statement(
            "In the same change, the number of attention weights",
            HOW_MUCH,
        ),
        "key_bias": Statement(
            "Every number in the bias of the keys is raised by 10, and "
            "nothing else is changed. The weights of every head",
            (
                "stay as they were",
                "become more even",
                "become more uneven",
                "change, and how depends on the numbers",
            ),
        ),
        "same_heads": Statement(
            "All heads of a layer have the same three matrices of queries, "
            "keys and values. Compared with one such head whose output "
            "matrix may be chosen freely, the layer can compute",
            ("less", "the same", "more"),
        ),
    },
    difficulty=3,
    importance=4,
    minutes=10,
    hints=(
        "For the first three: write the sizes heads x dim and put in "
        "numbers, for instance 1 head of 8 and 2 heads of 4.",
        "For the bias: what does it add to the scores of one query, and "
        "what did unit 02 find about softmax and such a change?",
        "For the last: write the output as a sum over heads of what a head "
        "read times its rows of the output matrix.",
    ),
)
