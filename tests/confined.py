"""Runs functions in forked processes that are shut in."""

from __future__ import annotations

import os
import pickle
import select
import signal
import traceback
from dataclasses import dataclass
from typing import Any

import pytest

from attncourse.grading.inside import isolate, tree
from attncourse.grading.model import Limits

LEVEL = isolate.available()
REFUSED = ("PermissionError", "OSError", "FileNotFoundError")
needs_isolation = pytest.mark.skipif(
    not LEVEL.complete,
    reason="isolation was NOT tested here: " + "; ".join(LEVEL.missing),
)


def needs_namespaces(*names):
    """Skip aloud where this system does not allow these namespaces."""
    absent = set(names) - set(LEVEL.namespaces)
    return pytest.mark.skipif(
        bool(absent),
        reason=f"namespaces were NOT tested here: no {sorted(absent)}",
    )


@dataclass
class Ended:
    """How a forked process ended."""

    value: Any = None
    error: str | None = None
    signal: int = 0
    status: int = 0


def forked(function, timeout_s=20.0) -> Ended:
    """Run `function` of a descriptor to keep in a forked process.

    It gets the number of the descriptor by which its value is sent.
    """
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        os.close(receive)
        try:
            told = (function(send), None)
        except BaseException as why:
            told = (None, f"{why!r}\n{traceback.format_exc()}")
        with open(send, "wb", closefd=False) as out:
            pickle.dump(told, out)
        os._exit(0)
    os.close(send)
    data = b""
    with open(receive, "rb", buffering=0) as source:
        while select.select([source], [], [], timeout_s)[0]:
            piece = source.read(1 << 16)
            data += piece
            if not piece:
                break
        else:
            os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    value, error = pickle.loads(data) if data else (None, None)
    return Ended(value, error, max(-code, 0), max(code, 0))


def confined(prepared, folder, function, limits=None, keep=()) -> Ended:
    """Run `function` in a process shut in `folder`."""

    def shut_in(send):
        isolate.enter(
            prepared,
            folder,
            limits=limits or Limits(),
            keep=(send, *keep),
        )
        return function()

    return forked(shut_in)


def outcome(function) -> str:
    """Return ``"done"``, or the name of the error that stopped it."""
    try:
        function()
    except OSError as why:
        return type(why).__name__
    return "done"


def readable():
    """Return what a notebook reads in these tests."""
    return tree.readable({"attncourse"})


@pytest.fixture(scope="module")
def prepared():
    made = isolate.Prepared(readable())
    yield made
    for place in made.places:
        os.close(place.fd)


@pytest.fixture
def folder(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "helper.py").write_text("ANSWER = 42\n")
    (tmp_path / "secret").write_text("expected values")
    other = tmp_path / "other"
    other.mkdir()
    (other / "answer.ipynb").write_text("another student's")
    return own


@pytest.fixture
def inside(prepared, folder):
    """Run a function shut in; return its value, or fail with its error."""

    def run(function, limits=None, keep=()):
        ended = confined(prepared, folder, function, limits, keep)
        assert ended.error is None, ended.error
        assert not ended.signal, f"killed by {ended.signal}"
        return ended.value

    return run
