"""Read nbgrader's source notebook: what is asked, and how it is judged."""

from __future__ import annotations

import copy
import json
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attncourse.grading.model import (
    CELL_LIMITS,
    GradingError,
    Limits,
    Plan,
    SourceCell,
)
from attncourse.grading.notebooks.delimiters import DELIMITERS, Delimiters
from attncourse.grading.notebooks.limiting import limited

Kind = Literal["test", "answer", "locked", "written", "text", "free"]
Upstream = Literal["punish", "substitute"]
NEWEST_SCHEMA = 3
# With a dot before it, a name is any attribute: ".softmax".
DOTTED = re.compile(r"\.?[^\W\d]\w*(\.[^\W\d]\w*)*\Z")
SETTINGS = {"limits", "forbids", "upstream"}


def read_plan(
    source: Path | str | Mapping[str, Any],
    *,
    assignment: str = "",
    notebook: str = "",
    limits: Limits | None = None,
    upstream: Upstream = "substitute",
    delimiters: Delimiters = DELIMITERS,
) -> Plan:
    """Return the plan of a source notebook, by its file or content.

    The notebook's metadata may hold ``grading: {"limits": {...},
    "forbids": [...], "upstream": ...}`` and a cell's ``grading`` the first
    two of these; they go before the arguments. By default a cell that is
    no test may take longer than all calls of a test.

    Raises
    ------
    GradingError
        If the notebook cannot be read or contradicts itself.
    """
    if isinstance(source, (str, Path)):
        file = Path(source)
        notebook = notebook or file.stem
        assignment = assignment or file.absolute().parent.name
        source = _loaded(file)
    metadata = _plain(source.get("metadata", {}))
    own = _settings(metadata, "the notebook")
    reader = _Reader(
        limited(limits or Limits(), own, "the notebook"),
        limited(limits or CELL_LIMITS, own, "the notebook"),
        _forbids(own),
        delimiters,
    )
    return Plan(
        assignment=assignment,
        notebook=notebook,
        cells=tuple(reader.cell(_plain(each)) for each in source["cells"]),
        upstream=_checked(own.get("upstream", upstream), metadata),
        metadata=metadata,
    )


def _checked(upstream: Any, metadata: dict[str, Any]) -> Upstream:
    """Return the policy, if it is one and the notebook is in Python."""
    if upstream not in typing.get_args(Upstream):
        raise GradingError(
            f"upstream must be punish or substitute: got {upstream!r}"
        )
    language = metadata.get("kernelspec", {}).get("language", "python")
    if language.lower() not in ("python", "ipython"):
        raise GradingError(f"a notebook must be in Python: got {language}")
    return upstream


def _loaded(file: Path) -> Mapping[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text)
        if content.get("nbformat") != 4:
            # Only old formats need it, and it takes a second to import.
            import nbformat

            content = nbformat.reads(text, as_version=4)
    except OSError as error:
        raise GradingError(
            f"the source notebook must be a file that can be read: {error}"
        ) from None
    except Exception as error:
        raise GradingError(
            f"{file}: the source must be a notebook: got {error}"
        ) from None
    if not isinstance(content.get("cells"), list):
        raise GradingError(f"{file}: a notebook must have cells: got none")
    return content


def _plain(value: Any) -> Any:
    """Return a copy of JSON-like data in exact base types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return copy.copy(value)


class _Reader:
    """Reads cell after cell and remembers what a test is about."""

    def __init__(self, limits, cell_limits, forbids, delimiters):
        self.limits = limits
        self.cell_limits = cell_limits
        self.forbids = forbids
        self.delimiters = delimiters
        self.names: set[str] = set()
        # The answers of the group that is being read, and what they forbid.
        self.answers: list[str] = []
        self.forbidden: list[str] = []
        self.closed = False

    def cell(self, raw: dict[str, Any]) -> SourceCell:
        metadata = raw.get("metadata", {})
        own = upgraded(metadata.get("nbgrader"), raw["cell_type"])
        metadata = metadata | {"nbgrader": own} if own else metadata
        name = self._name(own, raw)
        kind = _kind(own, raw["cell_type"])
        where = f"the cell {name!r}" if name else "a cell without a name"
        settings = _settings(metadata, where)
        source = "".join(raw["source"])
        made = SourceCell(
            kind=kind,
            grade_id=name,
            cell_type=raw["cell_type"],
            source=source,
            visible=self._visible(source, own, raw["cell_type"], where),
            points=own.get("points", 0.0) if own else 0.0,
            limits=limited(
                self.limits if kind == "test" else self.cell_limits,
                settings,
                where,
            ),
            forbids=self._group(kind, name, raw, settings),
            answers=tuple(self.answers) if kind == "test" else (),
            metadata=metadata,
            cell_id=raw.get("id"),
        )
        if kind == "test":
            self.closed = True
        return made

    def _name(self, own: dict | None, raw: dict) -> str | None:
        if not own:
            return None
        name = own.get("grade_id")
        if not isinstance(name, str) or not name:
            raise GradingError(
                "a cell that nbgrader knows must have a grade_id: got none in "
                f"{''.join(raw['source'])[:40]!r}"
            )
        if name in self.names:
            raise GradingError(
                f"a grade_id must name one cell: got two of {name!r}"
            )
        self.names.add(name)
        return name

    def _visible(self, source: str, own, cell_type: str, where: str) -> str:
        try:
            return self.delimiters.released(source, own or {}, cell_type)
        except GradingError as error:
            raise GradingError(f"{where}: {error}") from None

    def _group(self, kind, name, raw, settings) -> tuple[str, ...]:
        """Note an answer for the tests to come; return what is forbidden."""
        forbids = _forbids(settings)
        code = raw["cell_type"] == "code"
        if code and kind in ("answer", "written"):
            if self.closed:
                self.answers, self.forbidden, self.closed = [], [], False
            self.answers.append(name)
            self.forbidden += forbids
        if kind not in ("answer", "test", "written"):
            return forbids
        more = (*self.forbids, *forbids)
        if kind == "test":
            more = (*more, *self.forbidden)
        return tuple(dict.fromkeys(more))


def upgraded(own: Any, cell_type: str) -> dict[str, Any] | None:
    """Return nbgrader's metadata of a cell in its newest schema, or None.

    Examples
    --------
    >>> upgraded({"grade": True, "grade_id": "q1", "points": ""}, "code")
    {'grade': True, 'grade_id': 'q1', 'points': 0.0, 'locked': True,
     'solution': False, 'task': False, 'schema_version': 3}
    """
    if not isinstance(own, dict):
        return None
    schema = own.get("schema_version", 0)
    if not isinstance(schema, int) or not 0 <= schema <= NEWEST_SCHEMA:
        raise GradingError(
            f"nbgrader's schema must be 0 to {NEWEST_SCHEMA}: got {schema!r}"
        )
    grade, solution, task, locked = (
        bool(own.get(key)) for key in ("grade", "solution", "task", "locked")
    )
    if not (grade or solution or locked or task):
        return None
    made = dict(own)
    if grade or task:
        made["points"] = _points(own.get("points"), own.get("grade_id"))
    else:
        made.pop("points", None)
    return made | {
        "grade": grade,
        "locked": False if solution else grade or locked,
        "solution": solution,
        "task": task,
        "schema_version": NEWEST_SCHEMA,
    }


def _points(said: Any, name: Any) -> float:
    try:
        points = float(said or 0)
    except (TypeError, ValueError):
        points = float("nan")
    if not points < float("inf"):
        raise GradingError(
            f"the points of {name!r} must be a number: got {said!r}"
        )
    return max(points, 0.0)


def _kind(own: dict[str, Any] | None, cell_type: str) -> Kind:
    code = cell_type == "code"
    if not own:
        return "free" if code else "text"
    if own["task"] or (own["grade"] and own["solution"]):
        return "written"
    if own["grade"]:
        return "test" if code else "written"
    if own["solution"]:
        return "answer" if code else "written"
    return "locked" if code else "text"


def _settings(metadata: dict[str, Any], where: str) -> dict[str, Any]:
    own = metadata.get("grading", {})
    unknown = set(own) - SETTINGS if isinstance(own, dict) else {str(own)}
    if unknown:
        raise GradingError(
            f"{where}: the metadata `grading` may have limits, forbids and "
            f"upstream: got {', '.join(sorted(unknown))}"
        )
    return own


def _forbids(settings: dict[str, Any]) -> tuple[str, ...]:
    said = settings.get("forbids", [])
    if not isinstance(said, list) or not all(
        isinstance(name, str) and DOTTED.match(name) for name in said
    ):
        raise GradingError(
            f"forbids must be a list of dotted names: got {said!r}"
        )
    return tuple(said)
