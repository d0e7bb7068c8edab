"""What the browser loads comes as locked, or the book does without it."""

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from prose import BOOK, ROOT
from sphinx.errors import ExtensionError

sys.path.append(str(BOOK / "_ext"))
import live_assets
import live_fetch
import live_pack
from live_fetch import Asset, Unavailable

PARCEL = Asset("@some/parcel", "1.0.0", "npm", "some-parcel-1.0.0.tgz", "")


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Return a folder that is all of PATH, for stand-ins of npm and node."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def stand_in(tools, name, script):
    program = tools / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def locked(text="as locked"):
    digest = live_fetch.hashlib.sha256(text.encode()).hexdigest()
    return Asset(**{**vars(PARCEL), "sha256": digest})


def test_the_lock_file_pins_each_file_by_its_hash():
    assets = live_fetch.read_lock()
    versions = {each.name: each.version for each in assets}
    wanted = {**live_assets.NPM, **live_assets.PYPI, **live_assets.EDITOR}
    assert wanted.items() <= versions.items()
    for each in assets:
        assert len(bytes.fromhex(each.sha256)) == 32
        assert each.version in each.file
    assert "://" not in live_fetch.LOCK.read_text(encoding="utf-8")


def test_the_lock_file_is_written_as_it_is_read(tmp_path):
    live_fetch.write_lock(live_fetch.read_lock(), tmp_path / "lock")
    assert (tmp_path / "lock").read_text() == live_fetch.LOCK.read_text()


@pytest.mark.parametrize(
    "change", [{"source": "elsewhere"}, {"file": "../outside.tgz"}]
)
def test_the_lock_file_cannot_name_other_places(change):
    with pytest.raises(ValueError, match="must be"):
        Asset(**{**vars(PARCEL), **change})


def test_a_file_is_fetched_once_and_verified(tools, tmp_path):
    bring = f"printf 'as locked' > {PARCEL.file}\nprintf x >> {tmp_path}/calls"
    stand_in(tools, "npm", bring)
    for _ in range(2):
        found = live_fetch.fetch([locked()], tmp_path / "cache")
        assert found[PARCEL.name].read_text() == "as locked"
    assert (tmp_path / "calls").read_text() == "x"
    # What the cache holds is not trusted, either.
    found[PARCEL.name].write_text("changed since")
    live_fetch.fetch([locked()], tmp_path / "cache")
    assert found[PARCEL.name].read_text() == "as locked"


def test_a_file_that_is_not_as_locked_is_refused(tools, tmp_path):
    stand_in(tools, "npm", f"printf 'something else' > {PARCEL.file}")
    with pytest.raises(Unavailable, match="must have the SHA-256 of the lock"):
        live_fetch.fetch([locked()], tmp_path / "cache")
    assert not (tmp_path / "cache" / PARCEL.file).exists()


def test_what_npm_says_is_passed_on(tools, tmp_path):
    stand_in(
        tools,
        "npm",
        "echo 'npm error code E404\nnpm error 404 no such parcel\n"
        "npm error A complete log of this run is in /tmp' >&2; exit 1",
    )
    with pytest.raises(Unavailable, match="got npm error 404 no such parcel"):
        live_fetch.fetch([locked()], tmp_path / "cache")
    stand_in(tools, "npm", "exit 0")
    with pytest.raises(Unavailable, match="npm brought no some-parcel"):
        live_fetch.fetch([locked()], tmp_path / "cache")


def test_missing_npm_and_node_are_named(tools, tmp_path):
    with pytest.raises(Unavailable, match="npm must be installed"):
        live_fetch.fetch([locked()], tmp_path / "cache")
    with pytest.raises(Unavailable, match="node must be installed"):
        live_pack.codemirror({}, tmp_path / "none", tmp_path / "out.js")


@pytest.fixture
def small_book(tmp_path):
    """Return a function that builds a book of one page, and what it says."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text(
        f"import sys\nsys.path.append({str(BOOK / '_ext')!r})\n"
        "extensions = ['live_assets']\n"
        f"live_assets_cache = {str(tmp_path / 'cache')!r}\n"
    )
    (source / "index.rst").write_text("Hello\n=====\n")

    def build(**env):
        command = [sys.executable, "-m", "sphinx", "-W", "-E", "-b", "html"]
        return subprocess.run(
            [*command, str(source), str(tmp_path / "html")],
            capture_output=True,
            text=True,
            env={**os.environ, **env},
            check=False,
        )

    return build


def test_a_book_without_npm_is_built_and_says_so_once(
    small_book, tools, tmp_path
):
    done = small_book()
    assert done.returncode == 0, done.stderr
    said = [x for x in done.stdout.splitlines() if "Live exercises are" in x]
    assert len(said) == 1
    assert "node must be installed" in said[0]
    assert not (tmp_path / "html" / "_live").exists()


def test_a_book_without_a_registry_is_built_and_says_so_once(
    small_book, tools, tmp_path
):
    for name in ("node", "npm"):
        stand_in(tools, name, "exit 1")
    done = small_book(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    said = [x for x in done.stdout.splitlines() if "Live exercises are" in x]
    assert len(said) == 1
    assert "pip must succeed: got ERROR" in said[0]


def test_a_book_that_must_have_them_fails_without(monkeypatch):
    def none(cache):
        raise Unavailable("npm must be installed")

    monkeypatch.setattr(live_assets, "prepare", none)
    app = SimpleNamespace(
        builder=SimpleNamespace(format="html"),
        config=SimpleNamespace(live_assets_cache="x"),
    )
    monkeypatch.delenv(live_assets.SWITCH, raising=False)
    live_assets.look(app)
    assert not live_assets.available(app)
    monkeypatch.setenv(live_assets.SWITCH, "required")
    with pytest.raises(ExtensionError, match="live exercises must work: npm"):
        live_assets.look(app)


def test_the_archive_holds_what_runs_in_a_browser_and_no_more():
    with zipfile.ZipFile(io.BytesIO(live_pack.course())) as archive:
        names = archive.namelist()
        stand_in = archive.read("jaxtyping.py").decode()
    folders = {Path(name).parts[1] for name in names if "attncourse" in name}
    assert folders - {"__pycache__"} == set(live_pack.LAYERS)
    assert "class Named" in stand_in
    for unit in ("dense", "heads"):
        assert f"attncourse/questions/{unit}/audit.py" in names
    # Edits of a function need its source.
    for name in names:
        if name.endswith(".pyc"):
            folder, _, file = name.rpartition("__pycache__/")
            assert folder + file.split(".")[0] + ".py" in names


def test_a_new_archive_takes_the_old_ones_place(tmp_path):
    first = live_pack.put(b"one", tmp_path, "course")
    assert live_pack.put(b"one", tmp_path, "course") == first
    second = live_pack.put(b"two", tmp_path, "course")
    assert [file.name for file in tmp_path.iterdir()] == [second]


def test_a_tarball_writes_nowhere_else(tmp_path):
    tarball = tmp_path / "bad.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        for name in ("package/good.js", "package/../../bad.js"):
            entry = tarfile.TarInfo(name)
            entry.size = 2
            archive.addfile(entry, io.BytesIO(b"ok"))
        link = tarfile.TarInfo("package/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    live_pack.unpack_npm(tarball, tmp_path / "a" / "b")
    files = [each.name for each in tmp_path.rglob("*") if each.is_file()]
    assert sorted(files) == ["bad.tgz", "good.js"]


def test_byte_code_is_written_only_where_the_browser_reads_it(monkeypatch):
    files = {"a/b.py": b"x = 1\n", "a/c.txt": b"text"}
    monkeypatch.setattr(live_pack, "MAGIC", b"none")
    assert live_pack.compiled(files, keep_source=False) == files
    monkeypatch.setattr(
        live_pack, "MAGIC", live_pack.importlib.util.MAGIC_NUMBER
    )
    alone = live_pack.compiled(files, keep_source=False)
    assert set(alone) == {"a/b.pyc", "a/c.txt"}
    beside = live_pack.compiled(files, keep_source=True)
    assert {"a/b.py", "a/c.txt"} < set(beside)


def test_the_engine_is_told_every_file_and_its_size(tmp_path):
    (tmp_path / "pyodide").mkdir()
    for name in live_pack.PYODIDE:
        (tmp_path / "pyodide" / name).write_bytes(b"123")
    (tmp_path / "n.zip").write_bytes(b"12345")
    live_pack.manifest(tmp_path, {"numpy": "n.zip"})
    told = json.loads((tmp_path / "manifest.json").read_text())
    assert told["numpy"] == "n.zip"
    assert told["files"]["n.zip"] == 5
    assert len(told["files"]) == len(live_pack.PYODIDE) + 1


def test_no_address_is_written_down():
    for file in (BOOK / "_ext").glob("live_[afp]*.py"):
        assert "://" not in file.read_text(encoding="utf-8"), file.name
    assert (ROOT / "book" / "_live" / "assets.lock.json").is_file()
