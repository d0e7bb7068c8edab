"""What a killed process leaves behind, the next one cleans up."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from attncourse.grading.judging.judges import JudgeServer
from attncourse.grading.model import GradingError
from attncourse.grading.sandbox.holding import held_folder, remove_abandoned

HOLDER = """
import time
from attncourse.grading.sandbox.holding import held_folder
folder, lock = held_folder("held-")
(folder / "work").mkdir()
(folder / "work" / "file").write_bytes(b"1")
print(folder, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield
    tempfile.tempdir = None


def test_the_folder_of_a_killed_process_is_removed_and_no_other(tmp_path):
    mine, lock = held_folder("held-")
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True
    )
    theirs = Path(other.stdout.readline().strip())
    assert theirs.parent == mine.parent == tmp_path
    remove_abandoned("held-")
    assert theirs.exists()
    other.kill()
    other.communicate()
    remove_abandoned("held-")
    assert not theirs.exists()
    assert mine.exists()
    lock.close()


def test_a_folder_without_a_lock_is_removed_when_it_is_old(tmp_path):
    old, young = tmp_path / "held-old", tmp_path / "held-young"
    for folder in (old, young):
        folder.mkdir(mode=0o700)
        (folder / "new").touch()
    os.utime(old, (time.time() - 3600,) * 2)
    remove_abandoned("held-")
    assert not old.exists()
    assert young.exists()


def test_a_judges_server_cleans_up_after_one_that_was_killed(tmp_path):
    try:
        first = JudgeServer()
    except GradingError as error:
        pytest.skip(f"no isolation here: {error}")
    (left,) = tmp_path.glob("grading-judge-*")
    os.killpg(first._process.pid, signal.SIGKILL)
    first.close()
    assert left.exists()
    with JudgeServer():
        assert not left.exists()
        assert len(list(tmp_path.glob("grading-judge-*"))) == 1
    assert not list(tmp_path.glob("grading-judge-*"))
