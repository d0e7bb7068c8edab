"""Hidden cases differ between students, and only the class knows how."""

from __future__ import annotations

import os
import stat

import pytest

from attncourse.grading.keeping import seeds
from attncourse.grading.model import GradingError

KEY = b"k" * 64


def test_a_seed_is_the_same_again():
    assert seeds.seed(KEY, "ada", "04") == seeds.seed(KEY, "ada", "04")


def test_students_assignments_and_classes_have_seeds_of_their_own():
    told = {
        seeds.seed(key, student, assignment)
        for key in (KEY, b"l" * 64)
        for student in ("ada", "bao", "ad")
        for assignment in ("04", "a04", "05")
    }
    assert len(told) == 18


def test_a_class_key_is_drawn_once_and_for_its_owner_only(tmp_path):
    file = tmp_path / "classroom" / "key"
    key = seeds.class_key(file)
    assert len(key) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert seeds.class_key(file) == key
    assert os.listdir(file.parent) == ["key"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602])
def test_a_key_that_others_may_read_is_refused(tmp_path, mode):
    file = tmp_path / "key"
    seeds.class_key(file)
    file.chmod(mode)
    with pytest.raises(
        GradingError, match=f"its owner only: got mode {mode:o}"
    ):
        seeds.class_key(file)


@pytest.mark.parametrize("text", ["", "short\n"])
def test_a_key_that_is_not_whole_is_refused_and_not_replaced(tmp_path, text):
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(GradingError, match="put its backup back"):
        seeds.class_key(file)
    assert file.read_text() == text


def test_a_key_is_not_read_through_a_link_or_from_a_pipe(tmp_path):
    seeds.class_key(tmp_path / "other")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    with pytest.raises(GradingError, match="plain file"):
        seeds.class_key(tmp_path / "link")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(GradingError, match="plain file"):
        seeds.class_key(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.raises(GradingError, match="plain file"):
        seeds.class_key(tmp_path / "nowhere")
