"""What happens to the weights if the scores change."""

from attncourse.checking import Prediction, Statement

QUESTION = Prediction(
    id="softmax.predict",
    title="Scores change; what do the weights do?",
    function_name="predict_weights",
    points=2.5,
    statements={
        "shift": Statement(
            "If every score of a row grows by 100, its weights ...",
            ("become sharper", "become more equal", "stay the same"),
        ),
        "double": Statement(
            "If every score of a row is doubled, the effect is that of ...",
            (
                "doubling the temperature",
                "halving the temperature",
                "no change at all",
            ),
        ),
        "newcomer": Statement(
            "A row of nine scores gets a tenth, equal to the log-sum-exp of "
            "the nine. The weight of the newcomer is ...",
            ("one tenth", "one half", "nearly one"),
        ),
        "twice": Statement(
            "Over ten keys, the softmax of a softmax has a largest weight "
            "that ...",
            (
                "can still come close to one",
                "can come close to one half, not to one",
                "always stays below one quarter",
            ),
        ),
        "cold": Statement(
            "A soft lookup (unit 01) whose best key is unique, at a "
            "temperature close to zero, reads ...",
            (
                "the value of its best key",
                "the plain mean of all values",
                "a value close to zero",
            ),
        ),
    },
    difficulty=2,
    importance=4,
    minutes=10,
    hints=(
        "Write the weight as a ratio of exponentials and carry the change "
        "through both of its parts.",
        "For the newcomer, compare its exponential with the sum of the "
        "others; for the double softmax, what is the largest number that "
        "the second one can be given, and what is the smallest?",
    ),
)
