"""Predict what a shift or a reversal of positions does to attention."""

from attncourse.checking import Prediction, Statement

STAY, CHANGE, FAIL = "stay equal", "change", "cannot be computed"
WEIGHTS = (STAY, CHANGE, FAIL)
REVERSED, OTHERS = "are the old ones, reversed", "are other numbers"

QUESTION = Prediction(
    id="positions.predict",
    title="What does a shift change?",
    function_name="predict_shift",
    points=2,
    statements={
        "sinusoidal": Statement(
            "Sinusoidal vectors are added to the tokens, which are then "
            "projected. All positions grow by 5; the weights ...",
            WEIGHTS,
        ),
        "learned": Statement(
            "A learned table of 9 rows is used instead. The seven positions "
            "0 to 6 grow by 5; the weights ...",
            WEIGHTS,
        ),
        "rotary": Statement(
            "Queries and keys are turned. All positions grow by 5; the "
            "weights ...",
            WEIGHTS,
        ),
        "rotary_keys": Statement(
            "Queries and keys are turned. Only the positions of the keys "
            "grow by 5; the weights ...",
            WEIGHTS,
        ),
        "clipped": Statement(
            "Relative tables with clip 2. One query reads keys that are all "
            "10 or more places before it. These keys move 5 places further "
            "away; the weights ...",
            WEIGHTS,
        ),
        "alibi_keys": Statement(
            "ALiBi. All keys lie before the query and move 5 places further "
            "away; the weights ...",
            WEIGHTS,
        ),
        "bag": Statement(
            "No positions, no mask. The tokens are reversed; the outputs ...",
            (REVERSED, OTHERS),
        ),
        "bag_causal": Statement(
            "No positions, a causal mask. The tokens are reversed; the "
            "outputs ...",
            (REVERSED, OTHERS),
        ),
    },
    difficulty=3,
    importance=5,
    minutes=12,
    hints=(
        "For each scheme, ask which number enters the score: a position, a "
        "difference, or a clipped difference.",
        "Which change of a row of scores does a softmax not notice? "
        "(Chapter 02.)",
        "Under a causal mask, how many keys does the first token see, and "
        "how many the last?",
    ),
)
