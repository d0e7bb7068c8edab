"""The Python side of live exercises: what a worker in the page calls.

A request names a question and brings the reader's text; the answer is a
dict that JSON can carry. Everything here runs in a browser, on NumPy and
the Python that WebAssembly has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from attncourse import questions
from attncourse.live.intact import intact
from attncourse.live.output import Output
from attncourse.live.reader import (
    SETUP,
    Stopped,
    define,
    evaluate,
    explained,
)
from attncourse.live.verdict import as_verdict, without_answer

__all__ = ["SETUP", "check", "run"]


def check(question_id: str, source: str) -> dict[str, Any]:
    r"""Return the verdict on the reader's text, as the notebook's check says.

    Examples
    --------
    >>> told = check("dense.attend", "def attend(q, k, v):\n    return q")
    >>> told["verdict"], told["points"]
    ('fail', 0.0)
    """
    question = questions.load(question_id)
    output = Output()
    with intact(), output.catching():
        try:
            answer = define(source, question.function_name)
        except Stopped as stop:
            return without_answer(question, output, error=stop.told())
        except KeyError:
            note = (
                f"your text must define {question.function_name}: got no "
                "function of this name"
            )
            return without_answer(question, output, note=note)
        result = questions.examine(question_id, answer, quiet=False)
    if result.error:
        message = explained(result.error, result.error_message)
        result = replace(result, error_message=message)
    return as_verdict(result, output)


def run(source: str, question_id: str | None = None) -> dict[str, Any]:
    r"""Run the reader's text and return what it printed and its last value.

    Examples
    --------
    >>> told = run("print('here')\n6 * 7")
    >>> told["output"], told["value"]
    ('here\n', '42')
    """
    if question_id is not None:
        questions.load(question_id)
    output = Output()
    value, error = "", None
    with intact(), output.catching():
        try:
            value = evaluate(source)
        except Stopped as stop:
            error = stop.told()
    return {
        "output": output.text(),
        "value": value,
        "error": error,
        "cut": output.cut,
    }
