"""A hostile folder gives nothing away and holds nobody up."""

import time

import pytest
from attacks import course, folders

from attncourse.grading.handed_in import collecting, submission

SECRET = "CANARY-FILE-5d81"
# However much a student hands in.
MOST_BYTES = 256 << 20


@pytest.mark.parametrize("name", folders.ALL)
def test_a_hostile_folder_is_read_as_what_is_plain_in_it(tmp_path, name):
    secret = tmp_path / "private" / "key.ipynb"
    secret.parent.mkdir()
    secret.write_text(SECRET)
    submitted = tmp_path / "submitted"
    for student in ("anna", "mallory", "zoe"):
        folder = submitted / student / course.ASSIGNMENT
        folder.mkdir(parents=True)
        if student != "mallory":
            (folder / folders.NAME).write_bytes(folders.honest())
    folders.ALL[name](submitted / "mallory" / course.ASSIGNMENT, secret)

    start = time.monotonic()
    found = list(
        collecting.find(submitted, course.ASSIGNMENT, course.NOTEBOOK)
    )
    took_s = time.monotonic() - start

    by_name = {each.student: each for each in found}
    assert list(by_name) == ["anna", "mallory", "zoe"]
    for student in ("anna", "zoe"):
        assert by_name[student].data == folders.honest()
        assert by_name[student].notes == ()
    got = by_name["mallory"]
    texts = [got.data or b"", *got.files.values()]
    assert SECRET.encode() not in b"".join(texts)
    assert (got.data is None) == bool(got.problem)
    for inner in got.files:
        assert not inner.startswith(("/", "."))
        assert ".." not in inner.split("/")
        assert all(character >= " " for character in inner)
    assert sum(map(len, texts)) <= MOST_BYTES
    if got.data is not None:
        assert submission.read(got.data).cells
    for text in (*got.notes, got.problem or ""):
        assert text.isprintable()
        assert str(tmp_path) not in text
    assert took_s < 5
