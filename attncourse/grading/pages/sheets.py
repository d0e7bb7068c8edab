"""Tables as comma-separated values in which no cell starts a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from attncourse.grading.pages import safe


def sheet(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; None becomes an empty cell, never a zero.

    Examples
    --------
    >>> print(sheet(["student", "points"], [["=1", 2.50], ["b", None]]))
    "student","points"
    "'=1",2.5
    "b",""
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    for row in (header, *rows):
        writer.writerow([_value(each) for each in row])
    return out.getvalue()


def _value(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float):
        rounded = round(value, 6)
        return int(rounded) if rounded == int(rounded) else rounded
    return value if isinstance(value, int) else safe.cell(value)
