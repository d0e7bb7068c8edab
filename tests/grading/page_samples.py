"""Invented outcomes for the tests of pages: rich, empty and hostile."""

import base64
import struct
import zlib

from grading.page_texts import ANSWERS, GRID, MISTAKES, QUESTIONS, STAGES

from attncourse.grading.classdata import Manual
from attncourse.grading.model import Judged, Outcome, Plan, SourceCell
from attncourse.grading.pages.cards import gather

LEVEL = (
    "Landlock (ABI 7), seccomp, resource limits; "
    "namespaces: user, net, ipc, pid"
)
VERDICT_MIME = "application/vnd.attncourse.verdict+json"


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


def graded():
    """Return the sample notebook's feedback, gathered."""
    return gather(outcome(), notebook(), plan())
