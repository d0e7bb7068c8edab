"""Invented classes of any size, graded for the most part."""

import random

from grading.page_samples import LEVEL, judged, outcome, plan, told
from grading.page_texts import MISTAKES, QUESTIONS, STAGES

from attncourse.grading.classdata import ClassData, Manual, Row, Similar

NAMES = (
    "Ada Amber Bela Bo Cleo Dana Eli Fay Gil Hana Ivo Jun Kim Lea Mio Nia "
    "Oki Pia Quinn Rosa Sam Tea Uli Vera Wren Xia Yan Zoe"
)
FAMILIES = "Adler Bauer Conti Diaz Evans Fischer Garcia Haas Ito Jensen Kaya"


def klass(size, seed=7):
    """Return a class of this size, graded for the most part."""
    rng = random.Random(seed)
    rows = tuple(_row(rng, count) for count in range(size))
    similar = (
        (
            Similar(
                first=rows[1].student,
                second=rows[3].student,
                question="weigh-test",
                share=0.93,
                says="31 of 34 pieces that only these two have",
            ),
        )
        if size > 4
        else ()
    )
    return ClassData(
        assignment="05_masks",
        rows=rows,
        plan=plan(),
        similar=similar,
        made="21 November 2026, 11:00 UTC",
        isolation=LEVEL,
    )


def _row(rng, count):
    student = f"s{count + 1:03}"
    person = {
        "student": student,
        "first_name": rng.choice(NAMES.split()),
        "last_name": rng.choice(FAMILIES.split()),
        "email": f"{student}@example.org",
        "lms_user_id": str(40_000 + count),
    }
    if count % 23 == 4:
        return Row(**person, problem="masks.ipynb is not JSON: line 1")
    if count % 17 == 5:
        return Row(**person, handed_in=False)
    if count % 19 == 6:
        return Row(**person)
    flags = ("Cell 4 uses numpy.linalg, which cache forbids.",)
    return Row(
        **person,
        feedback=f"feedback/{student}/05_masks/masks.html",
        manual=(
            Manual(
                grade_id="why",
                max_points=2.0,
                points=None if count % 3 else 1.5,
            ),
        ),
        outcome=outcome(
            student,
            questions=tuple(_question(rng, name) for name in QUESTIONS),
            flags=flags if count % 11 == 2 else (),
            notes=(
                ("The test cell weigh-test was deleted; it was put back.",)
                if count % 13 == 3
                else ()
            ),
            cpu_s=rng.uniform(0.03, 0.09),
        ),
    )


def _question(rng, name):
    most = QUESTIONS[name][1]
    draw = rng.random()
    seconds = rng.lognormvariate(-4, 0.8)
    known = [each[0] for each in MISTAKES.get(name, ())]
    stages = [each[0] for each in STAGES.get(name, (("right", "", 0),))]
    if draw < 0.55:
        return judged(name, "pass", most, seconds=seconds)
    if draw < 0.72 and len(stages) > 1:
        return judged(
            name,
            "partial",
            most / 2,
            told=told(name, stages[1:2], known[1:2]),
            seconds=seconds,
        )
    if draw < 0.88:
        return judged(
            name,
            "fail",
            0.0,
            told=told(name, stages, known[:1] if draw < 0.84 else ()),
            seconds=seconds,
        )
    if draw < 0.93:
        return judged(
            name, "error", 0.0, told=None, error="ValueError", line=2
        )
    if draw < 0.95:
        return judged(name, "timeout", 0.0, told=None, seconds=4.0)
    return judged(name, "missing", 0.0, told=None)
