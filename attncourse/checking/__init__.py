"""Compare, diagnose and draw; knows nothing of attention."""

from attncourse.checking import numerics
from attncourse.checking.edit import edited
from attncourse.checking.question import (
    Audit,
    Case,
    Misconception,
    Prediction,
    Question,
    Stage,
    Statement,
)

__all__ = [
    "Audit",
    "Case",
    "Misconception",
    "Prediction",
    "Question",
    "Stage",
    "Statement",
    "edited",
    "numerics",
]
