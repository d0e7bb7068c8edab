"""Make from the fetched files what the browser loads.

Everything lands in one folder with a `manifest.json` that names each file
and its size; the names of packed files carry a hash, so that a browser
never keeps an old one.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import json
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from live_fetch import program, run

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "python_stdlib.zip"
PYODIDE = (
    "pyodide.js",
    "pyodide.asm.js",
    "pyodide.asm.wasm",
    "pyodide-lock.json",
    LIBRARY,
)
# The package's layers that import only NumPy and jaxtyping.
LAYERS = (
    "__init__.py",
    "shapes.py",
    "checking",
    "reference",
    "questions",
    "live",
)
STAND_IN = "attncourse/live/jaxtyping_stand_in.py"
# CPython 3.11 writes the byte code that this Pyodide reads.
MAGIC = (3495).to_bytes(2, "little") + b"\r\n"
EPOCH = (2020, 1, 1, 0, 0, 0)
NUMPY = "static/numpy-1.25.2-"
ENTRY = """\
export { Compartment, EditorState, StateEffect, StateField }
  from "@codemirror/state";
export { Decoration, EditorView, keymap } from "@codemirror/view";
export { basicSetup } from "codemirror";
export { python } from "@codemirror/lang-python";
export { indentWithTab } from "@codemirror/commands";
export { HighlightStyle, indentUnit, syntaxHighlighting }
  from "@codemirror/language";
export { tags } from "@lezer/highlight";
"""


def unpack_npm(tarball: Path, folder: Path) -> None:
    """Unpack a package of npm, without its first folder."""
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            path = PurePosixPath(member.name)
            if not member.isfile() or ".." in path.parts:
                continue
            target = folder.joinpath(*path.parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.extractfile(member).read())


def pyodide(tarball: Path, folder: Path) -> None:
    """Put the interpreter's files into `folder`."""
    with tempfile.TemporaryDirectory() as beside:
        unpack_npm(tarball, Path(beside))
        folder.mkdir(parents=True, exist_ok=True)
        library = Path(beside, LIBRARY)
        with zipfile.ZipFile(library) as archive:
            files = {
                name: archive.read(name)
                for name in archive.namelist()
                if not name.endswith("/")
            }
        library.write_bytes(
            pack(compiled(files, keep_source=False, docs=False))
        )
        for name in PYODIDE:
            shutil.copyfile(Path(beside, name), folder / name)


def codemirror(files: dict[str, Path], bundler: Path, to: Path) -> None:
    """Bundle the editor's packages into one module."""
    node = program("node")
    with tempfile.TemporaryDirectory() as beside:
        here = Path(beside)
        for name, file in files.items():
            unpack_npm(file, here / "node_modules" / name)
        unpack_npm(bundler, here / "bundler")
        (here / "entry.js").write_text(ENTRY, encoding="utf-8")
        told = ["--bundle", "--format=esm", "--minify", "--target=es2020"]
        told += ["--legal-comments=eof", "--log-level=error"]
        run(
            [
                node,
                "bundler/bin/esbuild",
                "entry.js",
                *told,
                "--outfile=out.js",
            ],
            here,
        )
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(here / "out.js", to)


def numpy(wheel: Path) -> bytes:
    """Return NumPy, taken out of the wheel that carries it, as a wheel.

    Test suites, headers and build tools stay behind.
    """
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as outer:
        name = next(each for each in outer.namelist() if NUMPY in each)
        inner = io.BytesIO(outer.read(name))
    with tarfile.open(fileobj=inner) as archive:
        for member in archive.getmembers():
            _, found, path = member.name.partition("site-packages/")
            if member.isfile() and found and _is_needed(path):
                files[path] = archive.extractfile(member).read()
    return pack(compiled(files, keep_source=False))


def _is_needed(path: str) -> bool:
    parts = PurePosixPath(path).parts
    if parts[0] != "numpy" or path.endswith((".pyi", ".pyc", ".a", ".h")):
        return False
    if "_multiarray_tests" in path:
        return True
    unused = {"tests", "f2py", "distutils", "include", "doc"}
    return not unused & set(parts) and "_tests.c" not in path


def course() -> bytes:
    """Return the package's layers for the browser.

    jaxtyping is represented by a stand-in that costs no time.
    """
    files: dict[str, bytes] = {}
    package = ROOT / "attncourse"
    for layer in LAYERS:
        path = package / layer
        for file in sorted([path] if path.is_file() else path.rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            files[name] = file.read_bytes()
    files["jaxtyping.py"] = files.pop(STAND_IN)
    return pack(compiled(files, keep_source=True))


def compiled(
    files: dict[str, bytes], *, keep_source: bool, docs: bool = True
) -> dict[str, bytes]:
    """Add byte code, where this Python writes what the browser's reads.

    It halves the time to a reader's first check. Without it the sources
    are compiled when they are imported.
    """
    if importlib.util.MAGIC_NUMBER != MAGIC:
        return files
    code = importlib.import_module("importlib._bootstrap_external")
    out = {}
    for name, text in files.items():
        if not name.endswith(".py"):
            out[name] = text
            continue
        level = 0 if docs else 2
        made = compile(text, f"/lib/{name}", "exec", optimize=level)
        # Never compared with the source: both come out of one archive.
        data = code._code_to_hash_pyc(made, bytes(8), False)
        path = PurePosixPath(name)
        if keep_source:
            out[name] = text
            cache = path.parent / "__pycache__"
            out[str(cache / f"{path.stem}.cpython-311.pyc")] = bytes(data)
        else:
            out[str(path.with_suffix(".pyc"))] = bytes(data)
    return out


def pack(files: dict[str, bytes]) -> bytes:
    """Return an archive that is the same for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    return stream.getvalue()


def put(data: bytes, folder: Path, stem: str) -> str:
    """Write an archive under a name with its hash; return the name."""
    name = f"{stem}-{hashlib.sha256(data).hexdigest()[:12]}.zip"
    for old in folder.glob(f"{stem}-*.zip"):
        if old.name != name:
            old.unlink()
    if not (folder / name).is_file():
        (folder / name).write_bytes(data)
    return name


def manifest(folder: Path, archives: dict[str, str]) -> None:
    """Say which files the engine loads, and how large they are."""
    files = [folder / "pyodide" / name for name in PYODIDE]
    files += [folder / name for name in archives.values()]
    sizes = {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in files
    }
    text = json.dumps({"files": sizes, **archives}, indent=2)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
