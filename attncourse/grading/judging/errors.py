"""How an error of a visible test is shown: no code of the grader's."""

from __future__ import annotations

import linecache
from collections.abc import Mapping
from typing import Any

from attncourse.grading.inside import failure
from attncourse.grading.judging.bench import Tried
from attncourse.grading.judging.raising import of_student


def tidied(tried: Tried, cells: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a test's outputs with errors cut to what helps a student.

    `cells` names the tests by the file names of their code.
    """
    outputs = [
        output
        for output in tried.outputs
        if output.get("output_type") != "error"
    ]
    if tried.stopped is not None:
        outputs.append(output("Stopped", tried.stopped.says, []))
    elif tried.error is not None:
        outputs.append(_error(tried.error, cells))
    return outputs


def output(name: str, text: str, lines: list[str]) -> dict[str, Any]:
    """Return nbformat's error output."""
    last = f"{name}: {text}" if text else name
    return {
        "output_type": "error",
        "ename": name,
        "evalue": text,
        "traceback": ["\n".join([*lines, last])],
    }


def _error(error: BaseException, cells: Mapping[str, str]) -> dict[str, Any]:
    name = getattr(error, "student_name", type(error).__name__)
    lines = []
    if not hasattr(error, "_render_traceback_"):
        lines = _where(error, cells)
    return output(str(name)[:200], failure.message(error), lines)


def _where(error: BaseException, cells: Mapping[str, str]) -> list[str]:
    """Say which line of the test it was, and which of the student's."""
    lines = []
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if file in cells:
            source = linecache.getline(file, step.tb_lineno).strip()
            lines += [f"  {cells[file]}, line {step.tb_lineno}"]
            lines += [f"    {source}"] if source else []
        step = step.tb_next
    if of_student(error) and getattr(error, "student_line", None):
        cell = getattr(error, "student_cell", None) or "the answer"
        lines.append(f"  {cell}, line {error.student_line}")  # type: ignore[attr-defined]
    return lines
