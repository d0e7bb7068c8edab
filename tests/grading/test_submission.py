"""What students hand in, found and read."""

import contextlib
import io
import json
import os
import random
import socket
import stat
import time
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attncourse.grading.handed_in import archives, collecting
from attncourse.grading.handed_in.submission import find, read
from attncourse.grading.model import GradingError
from attncourse.grading.notebooks.source import read_plan

PLAIN = {
    "cells": [
        {
            "cell_type": "code",
            "id": "one",
            "metadata": {"nbgrader": {"grade_id": "q1"}},
            "execution_count": None,
            "outputs": [],
            "source": "x = 1\ny = 'é'",
        },
        {
            "cell_type": "markdown",
            "id": "two",
            "metadata": {},
            "source": "Words.",
        },
    ],
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
TEXT = json.dumps(PLAIN, ensure_ascii=False)


def sources(data):
    return [cell.source for cell in read(data).cells]


def changed(**new):
    return json.dumps({**PLAIN, **new}).encode()


def with_cell(**cell):
    return changed(cells=[cell])


def test_a_plain_notebook_is_read_without_a_note():
    notebook = read(TEXT.encode())
    assert notebook.notes == ()
    assert notebook.language == "python"
    first, second = notebook.cells
    assert (first.grade_id, first.cell_id, first.index) == ("q1", "one", 0)
    assert (second.cell_type, second.source) == ("markdown", "Words.")


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be", "latin-1"],
)
def test_any_encoding_of_the_same_notebook_is_the_same(encoding):
    notebook = read(TEXT.encode(encoding))
    assert notebook.cells == read(TEXT.encode()).cells
    assert bool(notebook.notes) == (not encoding.startswith("utf-8"))


def test_line_ends_of_windows_are_made_plain():
    data = json.dumps(PLAIN, indent=1).replace("\n", "\r\n").encode()
    assert read(data).notes == ()
    notebook = read(with_cell(cell_type="code", source="a = 1\r\nb = 2\rc"))
    assert notebook.cells[0].source == "a = 1\nb = 2\nc"
    assert any("line ends" in note for note in notebook.notes)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty file"),
        (b" \r\n\0\0", "empty file"),
        (b"not json", "must be JSON"),
        (TEXT.encode()[:-40], "must be JSON"),
        (b"[]", "a JSON object: got a list"),
        (b"null", "a JSON object: got null"),
        (b"3", "a JSON object: got a number"),
        (b'{"nbformat": 4}', "list of cells: got none"),
        (b'{"cells": {"a": 1}, "nbformat": 4}', "list of cells"),
        (b"[" * 200_000, "nested sensibly|must be JSON"),
        (b'{"a":' * 200_000, "nested sensibly|must be JSON"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "must be JSON"),
        (b"PK\x03\x04" + bytes(100), "must be JSON"),
    ],
)
def test_what_is_no_notebook_is_told_in_a_sentence(data, says):
    with pytest.raises(GradingError, match=says):
        read(data)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (TEXT.encode() + b"\n}garbage", "after the notebook"),
        (changed(nbformat=5), "format should be 4: got 5"),
        (changed(nbformat="4"), "got no number"),
        (changed(cells=[3, *PLAIN["cells"]]), "what is no cell"),
        (TEXT.replace("null", "NaN").encode(), "NaN"),
        (changed(cells=[PLAIN["cells"][0]] * 2), "the same id"),
        (with_cell(cell_type="code"), "without a source"),
        (with_cell(cell_type="code", source=7), "no text"),
        (with_cell(cell_type="code", source=["a", 7]), "no text"),
        (with_cell(source="a = 1", outputs=[]), "type was missing"),
        (with_cell(cell_type="code", source="'\ud800'"), "that are none"),
    ],
)
def test_an_oddity_of_the_file_is_noted_and_the_rest_read(data, note):
    notebook = read(data)
    assert any(note in each for each in notebook.notes)
    json.dumps(notebook.to_json(), ensure_ascii=False).encode()


def test_bytes_that_fill_up_the_end_of_a_file_are_no_oddity():
    assert read(TEXT.encode() + b"\n\0\0\0\x1a\r\n").notes == ()


def test_a_source_may_be_a_list_of_lines():
    data = with_cell(cell_type="code", source=["a = 1\n", "b = 2"])
    assert sources(data) == ["a = 1\nb = 2"]


def test_notebooks_of_version_3_are_read():
    sheets = [
        {
            "cells": [
                {"cell_type": "heading", "level": 1, "source": "Title"},
                {"cell_type": "code", "input": "x = 1", "outputs": []},
            ]
        },
        {"cells": [{"cell_type": "code", "input": ["y = 2"]}]},
        "no sheet",
    ]
    data = json.dumps({"nbformat": 3, "worksheets": sheets}).encode()
    notebook = read(data)
    assert [c.source for c in notebook.cells] == ["Title", "x = 1", "y = 2"]
    assert [c.cell_type for c in notebook.cells] == [
        "markdown",
        "code",
        "code",
    ]


@pytest.mark.parametrize(
    "outputs", [None, 3, "x", [[]], [{"data": 7}], {"a": [{}]}]
)
def test_outputs_are_never_looked_at(outputs):
    data = with_cell(cell_type="code", source="x", outputs=outputs)
    assert sources(data) == ["x"]


@pytest.mark.parametrize(
    "metadata",
    [None, [], 7, {"nbgrader": []}, {"nbgrader": {"grade_id": ["q1"]}}],
)
def test_odd_metadata_claims_nothing(metadata):
    data = with_cell(cell_type="code", source="x", metadata=metadata)
    assert read(data).cells[0].grade_id is None


def test_pictures_in_text_are_kept_and_what_can_act_is_not():
    bundle = {"image/png": "iVBORw0KGgo=", "text/html": "<script>"}
    data = with_cell(
        cell_type="markdown", source="x", attachments={"a.png": bundle}
    )
    kept = read(data).cells[0].attachments
    assert kept == {"a.png": {"image/png": "iVBORw0KGgo="}}


@pytest.mark.parametrize("language", ["R", "julia"])
def test_the_kernel_s_language_is_known(language):
    data = changed(metadata={"kernelspec": {"language": language}})
    assert read(data).language == language.lower()


def test_a_whole_number_of_a_million_digits_costs_nothing():
    data = b'{"cells": [], "nbformat": 4, "x": ' + b"9" * 1_000_000 + b"}"
    start = time.process_time()
    assert read(data).cells == ()
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "payload",
    [
        '"' + "a" * (50 << 20) + '"',
        "[" + ",".join(["[]"] * 2_000_000) + "]",
        "[" + ",".join(["1.5"] * 5_000_000) + "]",
    ],
    ids=["text", "lists", "numbers"],
)
def test_fifty_megabytes_are_read_in_seconds(payload):
    data = TEXT.replace("null", payload, 1).encode()
    start = time.process_time()
    assert len(read(data).cells) == 2
    assert time.process_time() - start < 20


def test_too_many_bytes_parts_or_cells_are_refused():
    with pytest.raises(GradingError, match="at most 64 MB"):
        read(b"[" + bytes(64 << 20))
    with pytest.raises(GradingError, match="at most 6000000 parts"):
        read(b"[" + b"1," * 6_100_000 + b"1]")
    with pytest.raises(GradingError, match="at most 5000 cells: got 5001"):
        read(changed(cells=[{"cell_type": "code", "source": ""}] * 5001))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "source", "cell_type", "metadata", "id", "nbgrader"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, max_size=4), JSON, JSON)
def test_any_json_is_read_or_refused_in_a_sentence(cells, metadata, version):
    whole = {"cells": cells, "metadata": metadata, "nbformat": version}
    for value in (whole, {"worksheets": cells}, metadata):
        try:
            notebook = read(json.dumps(value).encode())
        except GradingError:
            continue
        json.dumps(notebook.to_json(), ensure_ascii=False).encode()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(TEXT)), st.booleans())
def test_any_bytes_are_read_or_refused(noise, place, whole):
    text = TEXT.encode()
    data = noise if whole else text[:place] + noise + text[place:]
    with contextlib.suppress(GradingError):
        read(data)


# ---------------------------------------------------------------- files


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "submitted"
    (folder / "ada" / "unit").mkdir(parents=True)
    return folder


def only(folder, **options):
    (found,) = find(folder, "unit", "nb", **options)
    return found


def test_the_notebook_and_the_files_beside_it_are_found(home):
    unit = home / "ada" / "unit"
    (unit / "nb.ipynb").write_text(TEXT)
    (unit / "helper.py").write_text("x = 1")
    (unit / "data").mkdir()
    (unit / "data" / "a.csv").write_text("1,2")
    (unit / ".ipynb_checkpoints").mkdir()
    (unit / ".ipynb_checkpoints" / "nb.ipynb").write_text("old")
    found = only(home)
    assert (found.student, found.path, found.notes) == ("ada", "nb.ipynb", ())
    assert found.data == TEXT.encode()
    assert found.files == {"helper.py": b"x = 1", "data/a.csv": b"1,2"}


def test_students_come_in_their_order_and_who_handed_in_nothing_does_not(home):
    for name in ("zoe", "bao"):
        (home / name / "unit").mkdir(parents=True)
        (home / name / "unit" / "nb.ipynb").write_text(TEXT)
    (home / "idle").mkdir()
    (home / "a stray file").write_text("")
    (home / ".hidden").mkdir()
    found = list(find(home, "unit", "nb"))
    assert [each.student for each in found] == ["ada", "bao", "zoe"]
    assert found[0].problem == "there must be a notebook nb.ipynb: got none"
    (one,) = find(home, "unit", "nb", student="zoe")
    assert one.data
    assert list(find(home, "unit", "nb", student="nobody")) == []
    assert list(find(home / "none", "unit", "nb")) == []


@pytest.mark.parametrize(
    "path",
    [
        "deep/er/nb.ipynb",
        "NB.ipynb",
        "nb (1).ipynb",
        "unit_nb_final.ipynb",
        "Untitled.ipynb",
        "nb.ipynb.txt",
        "nb.json",
    ],
)
def test_a_renamed_or_nested_notebook_is_found_and_noted(home, path):
    file = home / "ada" / "unit" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(TEXT)
    (file.parent / "helper.py").write_text("x = 1")
    found = only(home)
    assert found.path == path
    assert set(found.files) == {"helper.py"}
    assert found.notes == (f"the notebook was found as {path!r}",)


def test_another_notebook_of_the_assignment_is_not_taken_for_this_one(home):
    (home / "ada" / "unit" / "other.ipynb").write_text(TEXT)
    assert only(home, others=("other",)).problem
    assert only(home).path == "other.ipynb"


def test_of_several_notebooks_the_exact_name_counts_and_it_is_noted(home):
    unit = home / "ada" / "unit"
    for name in ("nb.ipynb", "nb-Copy1.ipynb", "scratch.ipynb"):
        (unit / name).write_text(TEXT)
    found = only(home)
    assert (found.path, found.notes) == ("nb.ipynb", ())
    (unit / "nb.ipynb").unlink()
    (unit / "nb-Copy12.ipynb").write_text(TEXT)
    assert any("and not" in note for note in only(home).notes)


@pytest.mark.parametrize("kind", ["link", "pipe", "socket", "folder", "gone"])
def test_only_a_plain_file_is_opened(home, tmp_path, kind, monkeypatch):
    secret = tmp_path / "secret.ipynb"
    secret.write_text(TEXT)
    unit = home / "ada" / "unit"
    file = unit / "nb.ipynb"
    if kind == "link":
        file.symlink_to(secret)
    elif kind == "gone":
        file.symlink_to(tmp_path / "nowhere")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "socket":
        monkeypatch.chdir(unit)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("nb.ipynb")
    else:
        file.mkdir()
    found = only(home)
    assert found.data is None
    assert found.problem
    if kind != "folder":
        assert "'nb.ipynb' was ignored: it is a" in found.notes[0]


@pytest.mark.parametrize("where", ["ada", "ada/unit", "ada/unit/deep"])
def test_no_link_to_a_folder_is_followed(home, tmp_path, where):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "unit").mkdir(parents=True)
    for folder in (elsewhere, elsewhere / "unit"):
        (folder / "nb.ipynb").write_text(TEXT)
    link = home / where
    if link.exists():
        for folder in (home / "ada" / "unit", home / "ada"):
            if folder.is_relative_to(link):
                folder.rmdir()
    link.symlink_to(elsewhere)
    found = only(home)
    assert found.data is None
    assert found.problem


@pytest.mark.parametrize("name", ["..", "../other", "a/b", "", ".", "a\0b"])
def test_a_student_s_name_cannot_lead_elsewhere(home, name):
    found = list(find(home, "unit", "nb", student=name))
    assert all(each.problem and each.data is None for each in found)


@pytest.mark.parametrize("name", ["DOMAIN\\ada", "a:b", "Zoë Ünal", "%s"])
def test_a_student_may_have_any_ordinary_name(home, name):
    unit = home / name / "unit"
    unit.mkdir(parents=True)
    (unit / "nb.ipynb").write_text(TEXT)
    (unit / "10:32.txt").write_text("x")
    (found,) = find(home, "unit", "nb", student=name)
    assert (found.student, found.notes) == (name, ())
    assert set(found.files) == {"10:32.txt"}


def test_of_strange_notebooks_the_one_that_holds_the_plan_s_names_counts(home):
    plan = read_plan({"cells": [{**PLAIN["cells"][0], "metadata": {
        "nbgrader": {"grade_id": "q1", "solution": True}}}]})  # fmt: skip
    unit = home / "ada" / "unit"
    (unit / "a.ipynb").write_text('{"cells": []}')
    (unit / "much-longer-name.ipynb").write_text(TEXT)
    assert only(home).path == "a.ipynb"
    assert only(home, plan=plan).path == "much-longer-name.ipynb"


def test_names_that_are_not_unicode_are_left_out(home):
    unit = os.fsencode(home / "ada" / "unit")
    with open(unit + b"/\xff.py", "wb") as file:
        file.write(b"x")
    (home / "ada" / "unit" / "nb.ipynb").write_text(TEXT)
    found = only(home)
    assert found.files == {}
    found.notes[0].encode()


def test_too_many_or_too_large_files_are_left_out(home, monkeypatch):
    monkeypatch.setattr(collecting, "MOST_FILES", 5)
    monkeypatch.setattr(collecting, "MOST_BYTES", 10_000)
    unit = home / "ada" / "unit"
    (unit / "a.bin").write_bytes(bytes(10_001))
    (unit / "nb.ipynb").write_text(TEXT)
    for number in range(7):
        (unit / f"z{number}").write_text("")
    found = only(home)
    assert found.data
    assert len(found.files) == 4
    assert "'a.bin' was ignored: it is too large" in found.notes


def test_folders_nested_without_end_are_left_out(home):
    deep = home / "ada" / "unit"
    (deep / "nb.ipynb").write_text(TEXT)
    deep = deep.joinpath(*["d"] * 20)
    deep.mkdir(parents=True)
    (deep / "x.py").write_text("")
    found = only(home)
    assert found.data
    assert found.files == {}
    assert "too deeply" in found.notes[0]


def test_the_files_beside_the_source_are_known(tmp_path):
    (tmp_path / "nb.ipynb").write_text(TEXT)
    (tmp_path / "data.csv").write_text("1")
    assert collecting.beside(tmp_path) == {"data.csv": b"1"}


# ------------------------------------------------------------- archives


def packed(*entries, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content, *mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            entry.external_attr = (mode or [stat.S_IFREG | 0o644])[0] << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


@pytest.mark.parametrize("place", ["ada/unit/work.zip", "ada/unit.zip"])
def test_a_notebook_in_an_archive_is_found(home, place):
    if place == "ada/unit.zip":
        (home / "ada" / "unit").rmdir()
    (home / place).write_bytes(
        packed(("work/nb.ipynb", TEXT), ("work/helper.py", "x = 1"))
    )
    found = only(home)
    assert found.data == TEXT.encode()
    assert found.files == {"helper.py": b"x = 1"}


def test_nothing_leaves_an_archive_by_its_path_or_as_a_link():
    data = packed(
        ("../up.py", "x"),
        ("/etc/passwd", "x"),
        ("C:\\x.py", "x"),
        ("a/../../b.py", "x"),
        ("link.py", "/etc/passwd", stat.S_IFLNK | 0o777),
        ("pipe", "", stat.S_IFIFO | 0o644),
        ("fine\\ok.py", "ok"),
        ("__MACOSX/nb.ipynb", "x"),
        ("nul\n.py", "x"),
    )
    files, notes = archives.unpack(data, most_bytes=1000)
    assert files == {"fine/ok.py": b"ok"}
    assert len(notes) == 7


def test_a_bomb_is_not_unpacked():
    data = packed(("bomb", bytes(50 << 20)), ("ok.py", "x"))
    assert len(data) < 100_000
    files, notes = archives.unpack(data, most_bytes=1 << 20)
    assert (files, notes) == (
        {"ok.py": b"x"},
        ["'bomb' was ignored: it is too large"],
    )


def test_an_archive_that_lies_about_a_size_is_not_believed():
    data = bytearray(packed(("bomb", bytes(5 << 20))))
    size = (5 << 20).to_bytes(4, "little")
    while (at := data.find(size)) >= 0:
        data[at : at + 4] = (1000).to_bytes(4, "little")
    files, _ = archives.unpack(bytes(data), most_bytes=1 << 20)
    assert sum(map(len, files.values())) <= 1 << 20


def test_archives_that_are_locked_strange_or_endless_are_refused():
    files, notes = archives.unpack(
        packed(("a.py", "x"), method=zipfile.ZIP_LZMA), most_bytes=100
    )
    assert not files
    assert "deflate" in notes[0]
    locked = bytearray(packed(("a.py", "x")))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.find(mark) + place] |= 1
    files, notes = archives.unpack(bytes(locked), most_bytes=100)
    assert not files
    assert "encrypted" in notes[0]
    many = packed(*((f"{n}", "") for n in range(2_500)))
    with pytest.raises(GradingError, match="at most 2000"):
        archives.unpack(many, most_bytes=100)
    with pytest.raises(GradingError, match="zip"):
        archives.unpack(b"PK\x03\x04 nothing", most_bytes=100)


def test_a_broken_archive_is_told_of_and_the_class_goes_on(home):
    (home / "ada" / "unit" / "work.zip").write_bytes(b"PK\x05\x06" + bytes(9))
    found = only(home)
    assert found.problem
    assert "'work.zip' was ignored" in found.notes[0]


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 10**9), st.integers(1, 12))
def test_a_mangled_archive_is_unpacked_or_refused(seed, count):
    rng = random.Random(seed)
    data = bytearray(packed(("nb.ipynb", TEXT), ("b/c.py", "x" * 100)))
    for _ in range(count):
        data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        files, notes = archives.unpack(bytes(data), most_bytes=10_000)
    except GradingError:
        return
    assert sum(map(len, files.values())) <= 10_000
    for name in files:
        assert not name.startswith("/")
        assert ".." not in name.split("/")
    "".join(notes).encode()


def test_why_a_notebook_was_not_taken_is_said_where_it_is_missed(home):
    unit = home / "ada" / "unit"
    unit.mkdir(parents=True, exist_ok=True)
    (unit / "nb.ipynb").symlink_to("/etc/hostname")
    problem = only(home).problem
    assert problem.startswith("there must be a notebook nb.ipynb: got ")
    assert "'nb.ipynb' was ignored: it is a link" in problem
    assert "none" not in problem
