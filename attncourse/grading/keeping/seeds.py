"""The secret from which every student's hidden cases are drawn."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
from pathlib import Path

from attncourse.grading.keeping.files import draft_name, remove_abandoned
from attncourse.grading.model import GradingError

SHORTEST_KEY = 32


def seed(key: bytes, student: str, assignment: str) -> str:
    """Return the seed of one student's hidden cases, in hex.

    Whoever holds the key gets the same seed again, which is what an appeal
    needs; nobody else can tell one student's seed from another's.

    Examples
    --------
    >>> len(seed(b"k" * 32, "ada", "04_dense"))
    32
    """
    told = json.dumps([assignment, student]).encode()
    return hmac.new(key, told, hashlib.sha256).hexdigest()[:32]


def class_key(file: Path) -> bytes:
    """Return the key of a class, drawn when it is first asked for.

    Raises
    ------
    GradingError
        If others may read the file, or it does not hold a whole key.
    """
    if not os.path.lexists(file):
        _draw(file)
    text = _private_text(file)
    if len(text) < SHORTEST_KEY:
        raise GradingError(
            f"{file} must hold a key of at least {SHORTEST_KEY} characters: "
            f"got {len(text)}; put its backup back"
        )
    return text.encode()


def _draw(file: Path) -> None:
    """Create a key whole, for its owner only, unless somebody was first."""
    draft = draft_name(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(file)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    except OSError as error:
        raise GradingError(f"{file} must be writable: got {error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(draft)


def _private_text(file: Path) -> str:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise GradingError(
            f"{file} must be a readable plain file: got {error.strerror}"
        ) from error
    with os.fdopen(handle, encoding="ascii", errors="replace") as stream:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise GradingError(f"{file} must be a plain file: got a device")
        if mode & 0o077:
            raise GradingError(
                f"{file} must be readable by its owner only: got mode "
                f"{stat.S_IMODE(mode):o}; run `chmod 600 {file}`, and if "
                "somebody may have read it, take a new key"
            )
        return stream.read(4096).strip()
