"""Which files a notebook needs: Python's own, and a few of the system's.

Landlock only allows. To leave something out of a folder, such as one
package out of ``site-packages``, everything else in it is allowed entry
by entry.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

SYSTEM = (
    "/dev/urandom",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/lib",
    "/lib64",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/usr/share/fonts",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
)


def readable(
    hidden: Iterable[str] = (), extra: Iterable[str | Path] = ()
) -> tuple[Path, ...]:
    """Return the files and folders that a notebook may read.

    `hidden` are packages of which nothing may be seen; `extra` are
    further files and folders (the code that runs inside, for example).
    """
    secret = {path.resolve() for path in _installed(set(hidden))}
    found = {
        path: None
        for root in roots(extra)
        for path in without(root.resolve(), secret)
    }
    return tuple(
        path
        for path in found
        if not any(parent in found for parent in path.parents)
    )


def roots(extra: Iterable[str | Path] = ()) -> tuple[Path, ...]:
    """Return the same whole, for a file tree of its own."""
    every = (*map(Path, SYSTEM), *_libraries(), *map(Path, extra))
    return tuple(path for path in every if path.exists())


def without(root: Path, secret: Iterable[Path]) -> Iterator[Path]:
    """Yield what covers `root`, and nothing of what is secret."""
    secret = set(secret)
    if root in secret or any(each in secret for each in root.parents):
        return
    if not any(root in each.parents for each in secret):
        yield root
        return
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if not entry.is_symlink():
                yield from without(Path(entry.path), secret)


def _libraries() -> list[Path]:
    """Return the folders of Python's libraries and packages."""
    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    library = sysconfig.get_config_var("LIBDIR") or ""
    return [
        *(Path(paths[name]) for name in names),
        *map(Path, _sites()),
        *Path(library).glob("lib*.so*"),
        Path(sys.prefix, "pyvenv.cfg"),
    ]


def _sites() -> list[str]:
    return [
        each
        for each in (*site.getsitepackages(), *sys.path)
        if Path(each).name in ("site-packages", "dist-packages")
    ]


def _installed(names: set[str]) -> Iterator[Path]:
    """Yield what pip put there for these packages."""
    for folder in {each for each in _sites() if Path(each).is_dir()}:
        for entry in Path(folder).iterdir():
            if _belongs(entry.name, names):
                yield entry


def _belongs(entry: str, names: set[str]) -> bool:
    """Whether a file in site-packages is part of one of the packages."""
    stem = entry.lower().removeprefix("__editable__").lstrip("._")
    return any(
        stem.startswith(name.lower()) and not stem[len(name) :][:1].isalnum()
        for name in names
    )
