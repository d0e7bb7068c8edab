"""A result as the page receives it: a dict of plain JSON values."""

from __future__ import annotations

from typing import Any

from attncourse import questions
from attncourse.checking.draw import lines
from attncourse.checking.question import AnyQuestion, Misconception
from attncourse.checking.result import Result
from attncourse.live.output import Output


def as_verdict(result: Result, output: Output) -> dict[str, Any]:
    """Return what the page shows of an examination.

    `said` holds the sentences of the notebook's own message, `picture`
    the reader's matrix beside the right one.
    """
    where = {
        each.section: questions.place(each.section)
        for each in result.diagnosis
    }
    error = None
    if result.error:
        error = {
            "name": result.error,
            "message": result.error_message,
            "line": result.line,
        }
    return {
        "verdict": result.verdict,
        "points": float(result.points),
        "max_points": float(result.max_points),
        "title": result.title,
        "stages": [
            {
                "name": stage.name,
                "must": stage.must,
                "points": float(stage.points),
                "passed": bool(stage.passed),
                "reason": stage.reason,
            }
            for stage in result.stages
        ],
        "diagnosis": [_diagnosed(each) for each in result.diagnosis],
        "error": error,
        "notes": list(result.notes),
        "said": lines(result, where=where),
        "output": output.text(),
        "cut": output.cut,
        "picture": result.picture,
    }


def _diagnosed(each: Misconception) -> dict[str, Any]:
    return {
        "name": each.name,
        "says": each.says,
        "section": each.section,
        "href_title": questions.place(each.section),
        "error": each.error,
    }


def without_answer(
    question: AnyQuestion,
    output: Output,
    *,
    error: dict[str, Any] | None = None,
    note: str = "",
) -> dict[str, Any]:
    """Return the verdict on a text that brought no function to examine."""
    result = Result(
        question_id=question.id,
        title=question.title,
        verdict="error" if error else "fail",
        points=0.0,
        max_points=question.points,
        error=error["name"] if error else None,
        line=error["line"] if error else None,
        error_message=error["message"] if error else "",
        notes=(note,) if note else (),
    )
    return as_verdict(result, output)
