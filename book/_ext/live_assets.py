"""Bring to the built book what live exercises load in a reader's browser.

``python book/_ext/live_assets.py`` fetches and packs it into the cache;
with ``--lock`` it first writes the lock file anew from `WANTED`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from pathlib import Path

import live_fetch
import live_pack
from live_fetch import LOCK, Asset, Unavailable
from sphinx.errors import ExtensionError
from sphinx.util import logging

LOG = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "_build" / "live-assets"
OURS = ROOT / "book" / "_live"
# What `--lock` asks for. The editor's packages bring others along.
EDITOR = {"codemirror": "6.0.2", "@codemirror/lang-python": "6.2.1"}
NPM = {"pyodide": "0.25.1", "esbuild-wasm": "0.21.5"}
PYPI = {"jupyterlite-xeus-python": "1.0.0"}
SCRIPTS = (
    "confine.js",
    "engine.js",
    "interpreter.js",
    "picture.js",
    "worker.js",
)
# "0": build without live exercises. "required": fail where they cannot be.
SWITCH = "ATTNCOURSE_LIVE"


def prepare(cache: Path = CACHE, lock: Path = LOCK) -> Path:
    """Return a folder with what the locked files give, made if need be.

    Raises
    ------
    Unavailable
        If something cannot be fetched; the text says what.
    """
    made_from = hashlib.sha256(lock.read_bytes())
    made_from.update(Path(live_pack.__file__).read_bytes())
    made_from.update(importlib.util.MAGIC_NUMBER)
    packed = cache / f"packed-{made_from.hexdigest()[:16]}"
    if packed.is_dir():
        return packed
    for tool in ("node", "npm"):
        live_fetch.program(tool)
    assets = live_fetch.read_lock(lock)
    files = live_fetch.fetch(assets, cache / "downloads")
    with tempfile.TemporaryDirectory(dir=cache) as beside:
        made = Path(beside, "made")
        live_pack.pyodide(files["pyodide"], made / "pyodide")
        wheel = live_pack.numpy(files["jupyterlite-xeus-python"])
        live_pack.put(wheel, made, "numpy")
        editor = {n: f for n, f in files.items() if n not in {*NPM, *PYPI}}
        bundler = files["esbuild-wasm"]
        live_pack.codemirror(editor, bundler, made / "codemirror.js")
        # Another build may have been faster; its result is the same.
        with contextlib.suppress(OSError):
            made.replace(packed)
    for old in cache.glob("packed-*"):
        if old != packed:
            shutil.rmtree(old, ignore_errors=True)
    return packed


def deliver(packed: Path, to: Path) -> None:
    """Put into the built book all that the engine loads."""
    to.mkdir(parents=True, exist_ok=True)
    for old in to.glob("*-*.zip"):
        old.unlink()
    for file in (packed / "pyodide").iterdir():
        (to / "pyodide").mkdir(exist_ok=True)
        shutil.copyfile(file, to / "pyodide" / file.name)
    shutil.copyfile(packed / "codemirror.js", to / "codemirror.js")
    numpy = next(packed.glob("numpy-*.zip"))
    shutil.copyfile(numpy, to / numpy.name)
    course = live_pack.put(live_pack.course(), to, "course")
    live_pack.manifest(to, {"numpy": numpy.name, "course": course})
    for name in SCRIPTS:
        shutil.copyfile(OURS / name, to / name)


def lock_anew(path: Path = LOCK) -> list[Asset]:
    """Write the lock file from what the registries hold now.

    Look at the difference before you commit it: a hash that changes while
    the version does not is a file that somebody replaced.
    """
    npm = {**NPM, **_with_dependencies(EDITOR)}
    assets = []
    with tempfile.TemporaryDirectory() as beside:
        folder = Path(beside)
        for source, wanted in (("npm", npm), ("pypi", PYPI)):
            named = [Asset(n, v, source, "?", "") for n, v in wanted.items()]
            live_fetch.call(source, named, folder)
            for each in named:
                file = _file_of(each, folder)
                digest = live_fetch.hash_of(file)
                assets.append(
                    Asset(each.name, each.version, source, file.name, digest)
                )
    live_fetch.write_lock(assets, path)
    return assets


def _file_of(asset: Asset, folder: Path) -> Path:
    """Return the file that npm or pip made of an asset."""
    if asset.source == "npm":
        stem = asset.name.removeprefix("@").replace("/", "-")
        return folder / f"{stem}-{asset.version}.tgz"
    stem = asset.name.replace("-", "_")
    return next(folder.glob(f"{stem}-{asset.version}-*.whl"))


def _with_dependencies(wanted: dict[str, str]) -> dict[str, str]:
    """Return npm's choice of versions for packages and all they need."""
    npm = live_fetch.program("npm")
    with tempfile.TemporaryDirectory() as beside:
        folder = Path(beside)
        (folder / "package.json").write_text(
            json.dumps({"private": True, "dependencies": wanted})
        )
        command = [npm, "install", "--package-lock-only", "--silent"]
        live_fetch.run(command, folder)
        found = json.loads((folder / "package-lock.json").read_text())
    return {
        path.removeprefix("node_modules/"): each["version"]
        for path, each in found["packages"].items()
        if path
    }


def available(app) -> bool:
    """Tell whether this build can offer live exercises."""
    return getattr(app, "live_assets", None) is not None


def look(app) -> None:
    """Fetch what is missing; without it say so, once, and go on."""
    app.live_assets = None
    if app.builder.format != "html":
        return
    wanted = os.environ.get(SWITCH, "")
    try:
        if wanted == "0":
            raise Unavailable(f"{SWITCH}=0 asks for a book without them")
        app.live_assets = prepare(Path(app.config.live_assets_cache))
    except Unavailable as error:
        if wanted == "required":
            raise ExtensionError(
                f"live exercises must work: {error}"
            ) from None
        LOG.info(
            "Live exercises are left out, and pages lead to the notebooks "
            "instead: %s.",
            error,
            color="yellow",
        )


def bring(app, error) -> None:
    """Copy into the built book what its pages load."""
    if error is None and available(app):
        deliver(app.live_assets, Path(app.outdir) / "_live")


def setup(app):
    """Connect the extension."""
    app.add_config_value("live_assets_cache", str(CACHE), "")
    app.connect("builder-inited", look)
    app.connect("build-finished", bring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main() -> None:
    """Fetch and pack; write the lock file first where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", action="store_true")
    if parser.parse_args().lock:
        for each in lock_anew():
            print(f"{each.sha256[:12]}  {each.name} {each.version}")
    print(prepare())


if __name__ == "__main__":
    main()
