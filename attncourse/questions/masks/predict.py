"""Four predictions about masks, to be made before the experiment."""

from __future__ import annotations

from attncourse.checking import Prediction, Statement

QUESTION = Prediction(
    id="masks.predict",
    title="Predict before you run",
    function_name="predict_masks",
    points=2,
    statements={
        "added_to_all": Statement(
            "In float64, -1e9 is added to every score of one row, because "
            "everything in it is hidden. The weights of that row are, up "
            "to rounding,",
            ("zero", "uniform", "as without a mask", "NaN"),
        ),
        "cache": Statement(
            "One new query meets a cache that holds 9 keys, its own "
            "included. The code makes the causal mask as j <= i, with "
            "queries and keys both counted from 0. The query sees",
            ("1 key", "8 keys", "9 keys"),
        ),
        "padding_behind": Statement(
            "Sequences are padded at the end and the mask is causal. "
            "Somebody deletes the padding mask. The outputs at the real "
            "positions",
            ("change", "stay as they were"),
        ),
        "two_means": Statement(
            "A batch has one sequence of 8 real positions, each with loss "
            "1, and one of 2, each with loss 3. The mean of the two "
            "sequences' means is, compared with the mean over positions,",
            ("smaller", "equal", "larger"),
        ),
    },
    difficulty=3,
    importance=4,
    minutes=8,
    hints=(
        "For the first: what did unit 02 find when 100 is added to every "
        "score of a row?",
        "For the second and third: draw the matrix, rows are queries.",
        "For the fourth: how much does each position count in each mean?",
    ),
)
