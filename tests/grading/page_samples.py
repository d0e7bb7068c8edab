"""Invented outcomes for the tests of pages: rich, empty and hostile."""

import base64
import random
import struct
import zlib

from attncourse.grading.classdata import ClassData, Manual, Row, Similar
from attncourse.grading.model import Judged, Outcome, Plan, SourceCell

LEVEL = (
    "Landlock (ABI 7), seccomp, resource limits; "
    "namespaces: user, net, ipc, pid"
)
VERDICT_MIME = "application/vnd.attncourse.verdict+json"
QUESTIONS = {
    "cache": ("A mask for a ragged cache", 3.0),
    "weigh": ("Masked weights and their totals", 4.0),
    "repair": ("Mend a decoder", 2.0),
    "mean": ("An average over what is real", 2.0),
    "audit": ("Find out who reads the future", 3.0),
    "predict": ("What a change would do", 2.0),
}
MISTAKES = {
    "cache": (
        (
            "keys_offset",
            "Your mask aligns the last query with the last key of the "
            "buffer, but it is the last filled place of each text that "
            "counts.",
            'chapter 05_masks, section "ragged caches"',
        ),
        (
            "counts_queries_twice",
            "Your mask hides one key too many: a query may look at itself.",
            'chapter 05_masks, section "the diagonal"',
        ),
    ),
    "weigh": (
        (
            "over_queries",
            "Your weights are normalised over the queries, so that each "
            "column adds up to one; it is each row that must.",
            'chapter 02_softmax, section "which axis"',
        ),
        (
            "nan_rows",
            "A query that may look nowhere gets NaN from your function; "
            "it must get zeros.",
            'chapter 05_masks, section "rows that see nothing"',
        ),
    ),
    "repair": (
        (
            "looks_ahead",
            "Your decoder still reads the position that it predicts.",
            'chapter 05_masks, section "the triangle"',
        ),
    ),
}
STAGES = {
    "weigh": (
        ("values", "visible scores become the right weights", 2.0),
        ("rows", "a row that sees nothing becomes zeros", 1.0),
        ("extremes", "large scores neither overflow nor vanish", 1.0),
    ),
    "cache": (
        ("shape", "the mask has a row for each new query", 1.0),
        ("places", "the last filled place of each text is aligned", 2.0),
    ),
}
ANSWERS = {
    "cache": (
        "def cache_mask(lengths, *, queries, keys):\n"
        '    """Return who may look where, for each text."""\n'
        "    lengths = np.asarray(lengths)\n"
        "    row = np.arange(queries)[:, None]  # one row a query\n"
        "    column = np.arange(keys)\n"
        "    last = lengths[:, None, None] - queries + row\n"
        "    return column <= last\n"
    ),
    "weigh": (
        "def weigh(scores, mask):\n"
        "    hidden = np.where(mask, scores, -np.inf)\n"
        "    shifted = hidden - hidden.max(axis=-2, keepdims=True)\n"
        "    weights = np.exp(shifted)\n"
        "    total = weights.sum(axis=-2, keepdims=True)\n"
        "    return weights / total, np.log(total)\n"
    ),
    "repair": (
        "def step(tokens, state):\n"
        "    while True:  # until it has settled\n"
        "        state = state @ tokens\n"
    ),
    "mean": (
        "def mean_loss(losses, real):\n"
        "    picked = losses[real]\n"
        "    return picked.sum() / len(picked) / (real.sum() - real.size)\n"
    ),
    "audit": "def reads_the_future(decoder):\n    raise NotImplementedError\n",
    "predict": "def predictions():\n    return {'rise': 'it cannot'}\n",
}


def png(width=3, height=2, colour=b"\x0b\x62\xc4"):
    """Return a PNG in base64."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = b"\x00" + colour * min(width, 400)
    raw = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(row * min(height, 400)))
        + chunk(b"IEND", b"")
    )
    return base64.b64encode(raw).decode()


def plan():
    """Return a plan with six questions and a written one."""
    cells = [
        SourceCell(
            kind="text",
            grade_id=None,
            cell_type="markdown",
            source="# 05 Masks",
            visible="# 05 Masks",
        ),
        SourceCell(
            kind="locked",
            grade_id="setup",
            cell_type="code",
            source="import numpy as np",
            visible="import numpy as np",
        ),
    ]
    for name, (title, points) in QUESTIONS.items():
        cells += [
            SourceCell(
                kind="text",
                grade_id=None,
                cell_type="markdown",
                source=f"## {title}\n\nWrite `{name}`.",
                visible=f"## {title}\n\nWrite `{name}`.",
            ),
            SourceCell(
                kind="answer",
                grade_id=name,
                cell_type="code",
                source="def f(): return HIDDEN_SOLUTION",
                visible="def f():\n    raise NotImplementedError",
            ),
            SourceCell(
                kind="test",
                grade_id=f"{name}-test",
                cell_type="code",
                source=f"check('{name}')\nHIDDEN_TEST = 1",
                visible=f"check('{name}')",
                points=points,
                answers=(name,),
            ),
        ]
    cells.append(
        SourceCell(
            kind="text",
            grade_id=None,
            cell_type="markdown",
            source="## Why zeros?",
            visible="## Why zeros?",
        )
    )
    cells.append(
        SourceCell(
            kind="written",
            grade_id="why",
            cell_type="markdown",
            source="",
            visible="Write here.",
            points=2.0,
        )
    )
    return Plan(assignment="05_masks", notebook="masks", cells=tuple(cells))


def notebook(answers=None, written="Because the *rows* see nothing: $e^x$."):
    """Return a submitted notebook in which every question is answered."""
    own = ANSWERS | (answers or {})

    def cell(kind, source, grade_id=None):
        metadata = {"nbgrader": {"grade_id": grade_id}} if grade_id else {}
        return {"cell_type": kind, "source": source, "metadata": metadata}

    cells = [
        cell("markdown", "# 05 Masks"),
        cell("code", "import numpy as np", "setup"),
    ]
    for name, source in own.items():
        cells.append(cell("code", source, name))
        cells.append(
            cell("code", f"check('{name}')\nHIDDEN_TEST = 1", f"{name}-test")
        )
    cells.append(cell("code", "print('a cell of my own')\nplot(mask)"))
    cells.append(cell("markdown", written, "why"))
    return {"cells": cells, "metadata": {}, "nbformat": 4}


def told(name, failed=(), mistakes=(), notes=()):
    """Return what a hidden test of the course publishes."""
    title, points = QUESTIONS[name]
    stages = STAGES.get(name, (("right", "the answer is right", points),))
    known = {each[0]: each for each in MISTAKES.get(name, ())}
    return {
        "question": f"masks.{name}",
        "title": title,
        "verdict": "fail" if failed else "pass",
        "points": 0.0,
        "max_points": points,
        "failed_stages": list(failed),
        "stages": [
            {"name": n, "must": m, "points": p, "passed": n not in failed}
            for n, m, p in stages
        ],
        "diagnosis": list(mistakes),
        "misconceptions": [
            dict(zip(("name", "says", "where"), known[each], strict=True))
            for each in mistakes
        ],
        "notes": list(notes),
        "error": None,
        "line": None,
    }


def judged(name, verdict, points, **more):
    """Return what came of one of the sample's questions."""
    more.setdefault("told", told(name))
    more.setdefault("says", "")
    more.setdefault("seconds", 0.02)
    return Judged(
        grade_id=f"{name}-test",
        verdict=verdict,
        points=points,
        max_points=QUESTIONS[name][1],
        **more,
    )


GRID = (
    '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Heat '
    'maps: your matrix beside the expected one" width="190" height="80">'
    '<text x="0" y="14" font-size="13" fill="currentColor">yours</text>'
    '<rect x="0" y="22" width="26" height="26" fill="rgb(229,178,127)" '
    'stroke="#888"/><rect x="26" y="22" width="26" height="26" '
    'fill="rgb(204,102,0)" stroke="#888"/>'
    '<text x="100" y="14" font-size="13" fill="currentColor">expected</text>'
    '<rect x="100" y="22" width="26" height="26" fill="rgb(204,102,0)" '
    'stroke="#888"/><rect x="126" y="22" width="26" height="26" '
    'fill="rgb(229,178,127)" stroke="#888"/></svg>'
)


def stream(text, name="stdout"):
    """Return an output of a stream."""
    return {"output_type": "stream", "name": name, "text": text}


def shows(**data):
    """Return an output that shows data; `text_html` means text/html."""
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {k.replace("_", "/", 1): v for k, v in data.items()},
    }


def outcome(student="ada", **more):
    """Return an outcome with a question of almost every verdict."""
    check = shows(
        text_plain="masks.weigh - Partly right",
        text_html=(
            '<div style="border-left:4px solid #b35900"><p><b>Masked '
            "weights: Partly right</b></p><ul><li>&#10005; <b>rows</b>: a "
            f"row that sees nothing becomes zeros</li></ul>{GRID}</div>"
        ),
    )
    questions = (
        judged("cache", "pass", 3.0, shown=(stream("cache: all right\n"),)),
        judged(
            "weigh",
            "partial",
            2.0,
            told=told("weigh", ["rows"], ["over_queries", "nan_rows"]),
            shown=(check, stream("a warning\n", "stderr")),
        ),
        judged(
            "repair",
            "timeout",
            0.0,
            told=None,
            says="It had not finished after 4 s.",
            line=2,
            seconds=4.0,
        ),
        judged(
            "mean",
            "error",
            0.0,
            told=told("mean", ["right"]),
            error="ZeroDivisionError",
            line=3,
        ),
        judged(
            "audit", "missing", 0.0, told=None, says="Still to be written."
        ),
        judged(
            "predict",
            "pass",
            2.0,
            substituted=("weigh",),
            told=told("predict", notes=["rise: it cannot, in a softmax"]),
        ),
    )
    outputs = {
        "14": [
            stream("a cell of my own\n"),
            shows(image_png=png(120, 60), text_plain="<Figure 120x60>"),
        ]
    }
    given = {
        "student": student,
        "assignment": "05_masks",
        "questions": questions,
        "outputs": outputs,
        "isolation": LEVEL,
        "cpu_s": 0.05,
        "wall_s": 4.2,
    } | more
    return Outcome(**given)


MANUAL = (
    Manual(grade_id="why", max_points=2.0, points=1.5, comment="Well seen."),
)
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
