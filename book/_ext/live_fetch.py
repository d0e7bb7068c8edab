"""Fetch what runs in the reader's browser, exactly as the lock file says.

The lock file names files of package registries with their hashes. They
are fetched with the user's own npm and pip, so their settings hold here,
too. A file whose hash differs is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "_live" / "assets.lock.json"
# Without a network, pip is the first to say so.
SOURCES = ("pypi", "npm")
PATIENCE = 300  # seconds for one call of npm or pip


class Unavailable(Exception):
    """Something that live exercises need cannot be had; the text says why."""


@dataclass(frozen=True)
class Asset:
    """One file of a registry: npm's tarball or PyPI's wheel."""

    name: str
    version: str
    source: str
    file: str
    sha256: str

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(
                f"source must be one of {', '.join(SOURCES)}: "
                f"got {self.source!r}"
            )
        if Path(self.file).name != self.file:
            raise ValueError(
                f"file must be a name without a folder: got {self.file!r}"
            )


def read_lock(path: Path = LOCK) -> list[Asset]:
    """Return the assets that the lock file names."""
    listed = json.loads(path.read_text(encoding="utf-8"))
    return [Asset(**each) for each in listed["assets"]]


def write_lock(assets: list[Asset], path: Path = LOCK) -> None:
    """Write the lock file anew, in an order that keeps changes small."""
    inside = sorted(assets, key=lambda each: (each.source, each.name))
    text = json.dumps({"assets": [asdict(each) for each in inside]}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def hash_of(file: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(assets: list[Asset], folder: Path) -> dict[str, Path]:
    """Return each asset's file, fetched where it is not there already.

    Raises
    ------
    Unavailable
        If npm or pip is missing, reaches nothing, or brings something
        else than what was locked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [each for each in assets if not _is_there(each, folder)]
    for source in SOURCES:
        wanted = [each for each in missing if each.source == source]
        if wanted:
            _bring(source, wanted, folder)
    return {each.name: folder / each.file for each in assets}


def _is_there(asset: Asset, folder: Path) -> bool:
    file = folder / asset.file
    return file.is_file() and hash_of(file) == asset.sha256


def _bring(source: str, assets: list[Asset], folder: Path) -> None:
    """Fetch through a folder beside, so that `folder` is always good."""
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        call(source, assets, Path(beside))
        for each in assets:
            file = Path(beside, each.file)
            if not file.is_file():
                raise Unavailable(f"{source} brought no {each.file}")
            got = hash_of(file)
            if got != each.sha256:
                raise Unavailable(
                    f"{each.file} must have the SHA-256 of the lock file, "
                    f"{each.sha256}: got {got}. It is not used"
                )
            file.replace(folder / each.file)


def call(source: str, assets: list[Asset], folder: Path) -> None:
    """Let npm or pip put the assets' files into `folder`."""
    if source == "npm":
        npm = program("npm")
        names = [f"{each.name}@{each.version}" for each in assets]
        # Without a network it should not take minutes to say so.
        once = ["--fetch-retries=1", "--fetch-retry-mintimeout=2000"]
        run([npm, "pack", "--loglevel=error", *once, *names], folder)
        return
    names = [f"{each.name}=={each.version}" for each in assets]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    pip += ["--retries=1", "--only-binary=:all:", "--dest", "."]
    run([*pip, *names], folder)


def program(name: str) -> str:
    """Return the path of a program, or say that it is missing."""
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} must be installed: got none")
    return found


def run(command: list[str], folder: Path) -> str:
    """Run a command in `folder` and return its output, or say how it ended."""
    name = "pip" if "pip" in command else Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{name} must run: got {error}") from None
    if done.returncode:
        raise Unavailable(f"{name} must succeed: got {reason(done.stderr)}")
    return done.stdout


def reason(said: str) -> str:
    """Return the line that tells best why npm or pip failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = [line for line in lines if "complete log" not in line]
    errors = [line for line in lines if "error" in line.lower()] or lines
    told = [line for line in errors if "reason:" in line] or errors
    return told[-1] if told else "no reason"
