"""Take the plain files out of a zip archive that nobody vouches for."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from pathlib import PurePosixPath

from attncourse.grading.model import GradingError

MOST_ENTRIES = 2_000
# The archive's table of contents; one with more is not even parsed.
MOST_TABLE_BYTES = 1 << 20
END_RECORD = struct.Struct("<4s4H2LH")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1
SKIPPED = ("__MACOSX", "__pycache__", ".ipynb_checkpoints", ".git")
DEPTH = 8
BAD_NAME = re.compile(r"[\0-\x1f\x7f:\ud800-\udfff]")


def unpack(
    data: bytes, *, most_bytes: int
) -> tuple[dict[str, bytes], list[str]]:
    """Return an archive's files by relative name, and notes.

    Links, encrypted files, paths that lead outside and whatever is more
    than `most_bytes` together are left out, with a note.

    Raises
    ------
    GradingError
        If the archive cannot be read at all.
    """
    archive = _opened(data)
    files: dict[str, bytes] = {}
    notes: list[str] = []
    left = most_bytes
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        name = inner_name(entry.filename)
        if name is None:
            notes.append(f"{shown(entry.filename)} was ignored: a bad path")
            continue
        if set(PurePosixPath(name).parts) & set(SKIPPED) or name in files:
            continue
        why = _refused(entry, left)
        content = None if why else _content(archive, entry, left)
        if content is None:
            why = why or "it cannot be unpacked"
            notes.append(f"{shown(entry.filename)} was ignored: {why}")
            continue
        files[name] = content
        left -= len(content)
    return files, notes


def _opened(data: bytes) -> zipfile.ZipFile:
    _check_table(data)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
    except Exception as error:
        raise GradingError(
            f"an archive must be a zip file: got {type(error).__name__}"
        ) from None
    if len(entries) > MOST_ENTRIES:
        raise GradingError(
            f"an archive must have at most {MOST_ENTRIES} entries: got "
            f"{len(entries)}"
        )
    return archive


def _check_table(data: bytes) -> None:
    """See that the table of contents is small, before it is parsed."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if at < 0 or len(data) < at + END_RECORD.size:
        raise GradingError("an archive must be a zip file: got no end record")
    record = END_RECORD.unpack_from(data, at)
    entries, size = record[4], record[5]
    if size > MOST_TABLE_BYTES or entries > MOST_ENTRIES:
        raise GradingError(
            f"an archive must have at most {MOST_ENTRIES} entries and a table "
            f"of {MOST_TABLE_BYTES} bytes: got {entries} and {size}"
        )


def inner_name(said: str) -> str | None:
    r"""Return a relative name without tricks, or None.

    Examples
    --------
    >>> inner_name("unit\\helper.py"), inner_name("./a/b.py")
    ('unit/helper.py', 'a/b.py')
    >>> inner_name("../a.py"), inner_name("/etc/passwd"), inner_name("C:x")
    (None, None, None)
    """
    name = said.replace("\\", "/")
    path = PurePosixPath(name)
    parts = [part for part in path.parts if part != "."]
    if (
        not parts
        or path.is_absolute()
        or ".." in parts
        or BAD_NAME.search(name)
        or len(parts) > DEPTH
        or any(len(part.encode()) > 200 for part in parts)
    ):
        return None
    return "/".join(parts)


def shown(name: str) -> str:
    """Return a student's file name as a note may show it."""
    text = name.encode("utf-8", "replace").decode()
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _refused(entry: zipfile.ZipInfo, left: int) -> str | None:
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) and not stat.S_ISREG(mode):
        return "it is no plain file"
    if entry.flag_bits & ENCRYPTED:
        return "it is encrypted"
    if entry.compress_type not in METHODS:
        return "its compression is not deflate"
    if entry.file_size > left:
        return "it is too large"
    return None


def _content(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int
) -> bytes | None:
    """Return an entry's bytes, however many it says that it has."""
    try:
        with archive.open(entry) as stream:
            content = stream.read(left + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        NotImplementedError,
        UnicodeError,
    ):
        return None
    return content if len(content) <= left else None
