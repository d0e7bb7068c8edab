"""Sentences that feedback says in every form."""

from __future__ import annotations

from collections import Counter

from attncourse.grading.pages import safe
from attncourse.grading.pages.cards import Card, Feedback
from attncourse.grading.pages.frame import LABELS, counted, number, worth

# Where an outcome brings no sentence of its own.
MEANINGS = {
    "pass": "Your answer holds in all that was tried.",
    "partial": "Some of what must hold does; see below.",
    "fail": "Your answer does not yet do what it must.",
    "error": "Running your answer ended with an error.",
    "timeout": "Your answer did not finish in the time that it had.",
    "out-of-memory": "Your answer needed more memory than it had.",
    "crashed": "Your answer ended the process that it ran in.",
    "missing": "No answer was found to examine.",
}
# How a summary counts verdicts whose label does not go with a number.
COUNTED = {"missing": "with nothing to grade", "crashed": "ended its process"}
HOW = (
    "All cells of your notebook ran from top to bottom in a new process. "
    "The outputs on this page come from that run.",
    "The points come from a second run, with other numbers of the same "
    "kinds. It is not shown: of it you read what must hold and whether it "
    "did, the mistake if it is a known one, and the line where an error "
    "came up.",
    "The numbers are drawn for you from a key of the class. Graded again, "
    "the same notebook meets the same numbers: if you think that a result "
    "is wrong, name the question and ask your instructor.",
)


def summary(told: Feedback) -> str:
    """Return how many questions came out how, in one or two sentences."""
    counts: Counter[str] = Counter(card.judged.verdict for card in told.cards)
    said = [
        f"{amount} {COUNTED.get(verdict, LABELS[verdict].lower())}"
        for verdict in LABELS
        if (amount := counts[verdict])
    ]
    text = "No question was examined."
    if said:
        text = f"{counted(len(told.cards), 'question')}: {', '.join(said)}."
    if told.waiting:
        text += (
            f" {counted(told.waiting, 'written answer')} "
            f"{'waits' if told.waiting == 1 else 'wait'} for a person; "
            "their points are still to come."
        )
    if told.penalty:
        text += f" Taken off for lateness: {worth(told.penalty)}."
    return text


def where_it_stopped(card: Card) -> str:
    """Return the error's name and the student's own line, if any."""
    line, says = card.judged.line, card.judged.says
    place = f"in line {line} of your cell" if line else ""
    named = bool(card.error) and card.error in says
    if named and (not line or f"line {line}" in says):
        return ""
    if card.error:
        return f"It stopped with {card.error} {place}".rstrip() + "."
    if place and card.judged.verdict in ("timeout", "crashed", "error"):
        return f"It stopped {place}."
    return ""


def parts_heading(card: Card) -> str:
    """Return the heading of a question's parts.

    Most complete the sentence that it begins; a sentence of its own, such
    as a statement to be predicted, does not.
    """
    musts = [each.must for each in card.told.stages]
    if any(must[:1].isupper() for must in musts):
        return "Part by part"
    return "It must hold that"


def substituted(card: Card) -> str:
    """Return the policy that gave these points, where it was used."""
    names = [safe.name(each) for each in card.judged.substituted]
    if not names:
        return ""
    listed = " and ".join(names)
    are = "is" if len(names) == 1 else "are"
    return (
        f"This answer builds on {listed}, which {are} not right yet. So "
        "that one mistake does not count twice, this question was tried "
        f"again with the instructor's {listed} in place of yours, and these "
        "points count."
    )


def given_by_hand(card: Card) -> str:
    """Return what a person changed about the points."""
    own = card.manual
    if own is None or (own.points is None and not own.extra):
        return ""
    said = []
    if own.points is not None:
        said.append(
            f"A person gave {worth(own.points)} here; the test had "
            f"given {number(card.judged.points)}."
        )
    if own.extra:
        said.append(f"Extra credit: {worth(own.extra)}.")
    return " ".join(said)
