"""Exceptions of the judge: a student's own, raised anew, and the engine's."""

from __future__ import annotations

import builtins

from attncourse.grading.sandbox.replies import Failed, Lost

# Inside a loop or a generator of a test, these would end it in silence.
ENDING = (StopIteration, StopAsyncIteration, GeneratorExit)


class Stopped(BaseException):
    """Ends a test for good; no `except Exception` of a test catches it."""

    def __init__(self, verdict: Lost, says: str) -> None:
        super().__init__(f"{verdict}: {says}")
        self.verdict: Lost = verdict
        self.says = says


class _KeyError(KeyError):
    """Says its message as it is; KeyError would put it in quotes again."""

    def __str__(self) -> str:
        return str(self.args[0])


def raised(failed: Failed, line: int | None) -> BaseException:
    """Return an exception of the nearest built-in type, to be raised.

    It carries `student_name`, the exception's own name, `student_builtin`,
    that of the nearest built-in type, and `student_line`, the line of the
    student's code.
    """
    error = _made(failed)
    error.student_name = failed.name  # type: ignore[attr-defined]
    error.student_builtin = failed.builtin  # type: ignore[attr-defined]
    error.student_cell = failed.cell  # type: ignore[attr-defined]
    error.student_line = line  # type: ignore[attr-defined]
    return error


def of_student(error: BaseException | None) -> bool:
    """Tell whether an exception came out of a student's code."""
    return hasattr(error, "student_name")


def _made(failed: Failed) -> BaseException:
    kind = getattr(builtins, failed.builtin, Exception)
    usable = isinstance(kind, type) and issubclass(
        kind, (Exception, SystemExit)
    )
    if not usable or issubclass(kind, ENDING):
        return RuntimeError(f"{failed.builtin}: {failed.message}")
    if kind is KeyError:
        return _KeyError(failed.message)
    if issubclass(kind, ExceptionGroup):
        return kind(failed.message, [Exception(failed.message)])
    try:
        return kind(failed.message)
    except TypeError:  # it wants more than a message
        return kind.__new__(kind, failed.message)
