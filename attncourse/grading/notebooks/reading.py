"""Read a submitted notebook's bytes, whatever they are.

Nothing but `GradingError` comes out of here, in time and memory that grow
with the file; what can be made out of a broken notebook is made out, with
a note for the instructor.
"""

from __future__ import annotations

import gc
import json
import re
from dataclasses import dataclass, field
from typing import Any

from attncourse.grading.model import GradingError, Plain

MOST_BYTES = 64 << 20
MOST_CELLS = 5_000
# Each comma or bracket may cost some sixty bytes of memory.
MOST_PARTS = 6_000_000
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
TEXTS = {"markdown", "heading", "html", "rst", "text"}
PICTURES = {"image/png", "image/jpeg", "image/gif"}


@dataclass(frozen=True, kw_only=True)
class Cell(Plain):
    """A cell of a submission; `index` is its place, from zero.

    `grade_id` and `cell_id` are what the notebook claims. `attachments`
    holds pictures in base64 by name and type.
    """

    index: int
    cell_type: str
    source: str
    cell_id: str | None = None
    grade_id: str | None = None
    attachments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Notebook(Plain):
    """A submitted notebook, read; `notes` tell what was odd about it."""

    cells: tuple[Cell, ...]
    language: str = "python"
    notes: tuple[str, ...] = ()


def read(data: bytes) -> Notebook:
    """Return the notebook in a file's bytes.

    Raises
    ------
    GradingError
        If no notebook can be made out; nothing else is ever raised.
    """
    if not data.strip(b" \t\r\n\0"):
        raise GradingError("a notebook must hold something: got an empty file")
    if len(data) > MOST_BYTES:
        raise GradingError(
            f"a notebook must have at most {MOST_BYTES >> 20} MB: got "
            f"{len(data) / (1 << 20):.0f}"
        )
    notes: list[str] = []
    try:
        content = _parsed(_decoded(data, notes), notes)
    except (RecursionError, MemoryError):
        raise GradingError(
            "a notebook must be nested sensibly: got too many levels"
        ) from None
    return _notebook(content, notes)


def _decoded(data: bytes, notes: list[str]) -> str:
    encoding: str = json.detect_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = data.decode(encoding)
    if not encoding.startswith("utf-8"):
        notes.append(f"the file is not UTF-8: it was read as {encoding}")
    return text.lstrip("\ufeff \t\r\n")


def _parsed(text: str, notes: list[str]) -> Any:
    parts = sum(map(text.count, ",[{"))
    if parts > MOST_PARTS:
        raise GradingError(
            f"a notebook must have at most {MOST_PARTS} parts: got {parts}"
        )
    odd: list[str] = []

    def constant(name: str) -> None:
        odd.append(name)

    def whole(digits: str) -> int:
        return int(digits) if len(digits) < 20 else 0

    decoder = json.JSONDecoder(
        strict=False, parse_constant=constant, parse_int=whole
    )
    # Millions of lists without a cycle: looking for one takes most time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        content, end = decoder.raw_decode(text)
    except ValueError as error:
        where = getattr(error, "lineno", None)
        says = getattr(error, "msg", "a value that cannot be read")
        raise GradingError(
            f"a notebook must be JSON: got {says}"
            + (f" in line {where} of the file" if where else "")
        ) from None
    finally:
        if collecting:
            gc.enable()
    if odd:
        notes.append(f"the file holds {odd[0]}, which JSON does not know")
    if text[end:].strip(" \t\r\n\0\x1a"):
        notes.append(
            f"{len(text) - end} characters after the notebook were ignored"
        )
    return content


def _notebook(content: Any, notes: list[str]) -> Notebook:
    found = _cells(content, notes)
    if len(found) > MOST_CELLS:
        raise GradingError(
            f"a notebook must have at most {MOST_CELLS} cells: got "
            f"{len(found)}"
        )
    cells: list[Cell] = []
    mended: set[str] = set()
    for index, each in enumerate(found):
        if isinstance(each, dict):
            cells.append(_cell(each, index, mended))
        else:
            mended.add("what is no cell was ignored")
    ids = [cell.cell_id for cell in cells if cell.cell_id]
    if len(set(ids)) < len(ids):
        mended.add("several cells have the same id")
    return Notebook(
        cells=tuple(cells),
        language=_language(content),
        notes=(*notes, *sorted(mended)),
    )


def _cells(content: Any, notes: list[str]) -> list[Any]:
    """Return the cells of a notebook of whatever version."""
    if not isinstance(content, dict):
        raise GradingError(
            f"a notebook must be a JSON object: got {_kind(content)}"
        )
    version = content.get("nbformat")
    if version != 4:
        said = version if isinstance(version, int) else "no number"
        notes.append(f"the notebook's format should be 4: got {said}")
    cells = content.get("cells")
    if isinstance(cells, list):
        return cells
    sheets = content.get("worksheets")
    if isinstance(sheets, list):
        return [
            cell
            for sheet in sheets
            if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
            for cell in sheet["cells"]
        ]
    raise GradingError("a notebook must have a list of cells: got none")


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false"}
    return kinds.get(type(value), "a number" if value is not None else "null")


def _cell(raw: dict[str, Any], index: int, mended: set[str]) -> Cell:
    source = raw.get("source", raw.get("input"))
    if "source" not in raw and "input" not in raw:
        mended.add("a cell without a source counts as empty")
        source = ""
    own = _dict(_dict(raw.get("metadata")).get("nbgrader"))
    return Cell(
        index=index,
        cell_type=_type(raw, mended),
        source=_text(source, mended),
        cell_id=_name(raw.get("id")),
        grade_id=_name(own.get("grade_id")),
        attachments=_attachments(raw.get("attachments")),
    )


def _type(raw: dict[str, Any], mended: set[str]) -> str:
    kind = raw.get("cell_type")
    if kind in ("code", "markdown", "raw"):
        return kind
    if isinstance(kind, str) and kind in TEXTS:
        return "markdown"
    code = {"outputs", "execution_count", "input", "prompt_number"}
    mended.add("a cell's type was missing or unknown, and guessed")
    return "code" if code & set(raw) else "raw"


def _text(source: Any, mended: set[str]) -> str:
    """Return a source as one text with plain line ends."""
    if isinstance(source, list):
        if not all(isinstance(line, str) for line in source):
            mended.add("what is no text in a cell's source was ignored")
        source = "".join(line for line in source if isinstance(line, str))
    elif not isinstance(source, str):
        mended.add("what is no text in a cell's source was ignored")
        source = ""
    if "\r" in source:
        mended.add("line ends of Windows or old Macs were made plain")
        source = source.replace("\r\n", "\n").replace("\r", "\n")
    if LONE_SURROGATE.search(source):
        mended.add("characters that are none were replaced")
        source = LONE_SURROGATE.sub("\ufffd", source)
    return source


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Any) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= 1000:
        return None
    return LONE_SURROGATE.sub("\ufffd", value)


def _attachments(value: Any) -> dict[str, Any]:
    """Return the pictures among a cell's attachments."""
    kept: dict[str, Any] = {}
    for name, bundle in _dict(value).items():
        pictures = {
            kind: data
            for kind, data in _dict(bundle).items()
            if kind in PICTURES and isinstance(data, str) and data.isascii()
        }
        if pictures and not LONE_SURROGATE.search(name):
            kept[name] = pictures
    return kept


def _language(content: dict[str, Any]) -> str:
    """Return the language of a notebook's kernel, in lower case."""
    metadata = _dict(content.get("metadata"))
    kernel = _dict(metadata.get("kernelspec"))
    info = _dict(metadata.get("language_info"))
    for said in (kernel.get("language"), info.get("name")):
        if _name(said):
            return LONE_SURROGATE.sub("\ufffd", str(said)).lower()[:40]
    return "python"
