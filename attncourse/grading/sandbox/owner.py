"""The sandbox: a server that forks isolated children, and its owner."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attncourse.grading.inside import folders
from attncourse.grading.inside.isolate import Isolation
from attncourse.grading.model import GradingError
from attncourse.grading.sandbox.child import Child
from attncourse.grading.sandbox.holding import held_folder, remove_abandoned
from attncourse.grading.sandbox.replies import (
    Budget,
    CallbackRefused,
    Called,
    ChildLost,
    Described,
    Failed,
    Ran,
    Usage,
)

__all__ = [
    "Budget",
    "CallbackRefused",
    "Called",
    "Child",
    "ChildLost",
    "Described",
    "Failed",
    "Ran",
    "Sandbox",
    "Usage",
]

INSIDE = Path(__file__).parents[1] / "inside"
PYTHON = (sys.executable, "-P", "-s", "-S", "-c")
LONGEST_BASE = 70  # a socket's path holds some hundred characters
PREFIX = "grading-sandbox-"
SETTINGS_BYTES = 1 << 20
START_S = 120.0
END_S = 5.0
# Python starts without ``site``: what that adds, such as hooks of packages
# under development, is not there. Of this package only `inside` is found.
BOOT = """
import sys
from importlib import util
inside, sys.prefix, paths, *numbers = sys.argv[1:]
sys.exec_prefix = sys.prefix
sys.path += paths.split(":")
sys.argv = [""]
spec = util.spec_from_file_location(
    "inside", inside + "/__init__.py", submodule_search_locations=[inside]
)
sys.modules["inside"] = util.module_from_spec(spec)
from inside import server
server.main(*map(int, numbers))
"""


class Sandbox:
    """A fork server of a worker: preloads packages, forks children.

    Raises GradingError where the mandatory isolation is missing, unless
    `trust_students`. `address` stays the same when the server restarts.
    Of `stubs`, packages that must not be seen, the names called `silent`
    do nothing. `readable` are further files for the children to read.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = ("numpy",),
        stubs: Sequence[str] = ("attncourse",),
        silent: Sequence[str] = ("check",),
        trust_students: bool = False,
        readable: Sequence[str | Path] = (),
    ) -> None:
        remove_abandoned(PREFIX)
        self._folder, self._lock = held_folder(PREFIX, LONGEST_BASE)
        self._settings: dict[str, Any] = {
            "preload": list(preload),
            "stubs": list(stubs),
            "silent": list(silent),
            "trust": trust_students,
            "readable": [str(path) for path in readable],
            "root": str(self._folder / "work"),
        }
        self.address = str(self._folder / "server")
        self._errors = self._folder / "errors"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.address)
        self._listening.listen(64)
        self._owner: socket.socket | None = None
        self._process: subprocess.Popen | None = None
        self.isolation = Isolation()
        self.missing: tuple[str, ...] = ()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Start the server again if it has died."""
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._start()

    def close(self) -> None:
        """End the server and its children, and remove its folder."""
        self._stop()
        self._listening.close()
        with contextlib.suppress(OSError):
            folders.remove(str(self._folder))
        self._lock.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        """Start the server, and wait until it is ready."""
        work = self._settings["root"]
        if os.path.exists(work):  # left behind by a server that has died
            folders.remove(work)
        os.mkdir(work, 0o700)
        owner, theirs = socket.socketpair()
        self._owner = owner
        numbers = theirs.fileno(), self._listening.fileno()
        with theirs, open(self._errors, "wb") as errors:
            self._process = subprocess.Popen(
                [*PYTHON, BOOT, str(INSIDE), sys.prefix, _site_packages()]
                + [str(number) for number in numbers],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=numbers,
                env=_environment(self._settings["root"]),
                cwd=self._settings["root"],
                start_new_session=True,
            )
        owner.settimeout(START_S)
        owner.sendall(json.dumps(self._settings).encode() + b"\n")
        said = self._first_word(owner)
        if "refused" in said:
            raise GradingError(
                "students' code must be held by Landlock and seccomp, or "
                f"trusted by --trust-students: got {said['refused']}"
            )
        told = said["isolation"]
        self.isolation = Isolation(
            landlock=told["landlock"],
            seccomp=told["seccomp"],
            namespaces=tuple(told["namespaces"]),
            missing=tuple(told["missing"]),
            trusted=told["trusted"],
        )
        self.missing = tuple(said["missing"])

    def _first_word(self, owner: socket.socket) -> dict[str, Any]:
        packet = b""
        with contextlib.suppress(OSError), owner.makefile("rb") as lines:
            packet = lines.readline(SETTINGS_BYTES)
        if not packet:
            self._stop(kill=True)
            text = self._errors.read_text("utf-8", "replace")
            why = text[-2_000:].strip() or "it said nothing"
            raise GradingError(f"the sandbox must start: got {why}")
        return json.loads(packet)

    def _stop(self, *, kill: bool = False) -> None:
        """End the server, which takes its children along."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None
        if self._process is None:
            return
        process, self._process = self._process, None
        if not kill:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
                return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _site_packages() -> str:
    """Return the folders of installed packages on this import path."""
    return ":".join(
        path
        for path in sys.path
        if Path(path).name in ("site-packages", "dist-packages")
        and Path(path).is_dir()
    )


def _environment(home: str) -> dict[str, str]:
    """Return an environment in which nothing of the grader's is said.

    One seed for hashing lets sets come in the same order in every run.
    """
    return {
        "HOME": home,
        "IPYTHONDIR": home,
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": home,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "TMPDIR": home,
        "TORCHINDUCTOR_CACHE_DIR": home,
    }
