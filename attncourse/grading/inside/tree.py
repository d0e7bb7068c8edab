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
            path = Path(entry.path)
            if not entry.is_symlink():
                yield from without(path, secret)
            elif path not in secret and not leads_up(path.resolve(), secret):
                yield path.resolve()


def leads_up(path: Path, secret: Iterable[Path]) -> bool:
    """Whether this is something secret, in it, or above it."""
    return any(
        path == each or each in path.parents or path in each.parents
        for each in secret
    )


def _libraries() -> list[Path]:
    """Return the folders of Python's libraries and packages."""
    library = sysconfig.get_config_var("LIBDIR") or ""
    return [
        *_standard(),
        *_sites(),
        *Path(library).glob("lib*.so*"),
        Path(sys.prefix, "pyvenv.cfg"),
    ]


def _standard() -> list[Path]:
    paths = sysconfig.get_paths()
    return [Path(paths[name]) for name in ("stdlib", "platstdlib")]


def _sites() -> list[Path]:
    """Return the folders into which packages are installed."""
    return [
        Path(each)
        for each in (*site.getsitepackages(), *sys.path)
        if Path(each).name in ("site-packages", "dist-packages")
    ]


def _everywhere() -> set[Path]:
    """Return all folders below what is allowed that may hold packages."""
    names = ("site-packages", "dist-packages")
    return {
        *_sites(),
        *(folder / name for folder in _standard() for name in names),
        *(
            found
            for library in ("/usr/lib", "/usr/lib64", "/usr/local/lib")
            for name in names
            for found in Path(library).glob(f"python*/{name}")
        ),
    }


def _installed(names: set[str]) -> Iterator[Path]:
    """Yield what pip put anywhere for these packages."""
    for folder in _everywhere():
        if folder.is_dir():
            for entry in folder.iterdir():
                if _belongs(entry.name, names):
                    yield entry


def _belongs(entry: str, names: set[str]) -> bool:
    """Whether this entry of site-packages is the code of a package.

    What pip notes down about it may be seen: it holds no code, and were it
    hidden too, each child would have to allow all others one by one.
    """
    return entry.partition(".")[0] in names and not entry.endswith("-info")
