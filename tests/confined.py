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
