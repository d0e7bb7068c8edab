"""The book's own Sphinx extension forgets what is out of date."""

import importlib.util
from types import SimpleNamespace

import pytest
from prose import BOOK

SPEC = importlib.util.spec_from_file_location(
    "course_extension", BOOK / "_ext" / "course.py"
)
course = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(course)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a small checkout that the extension takes for its own."""
    package = tmp_path / "attncourse"
    for folder in (package / "data", package / "notebooks", tmp_path / "book"):
        folder.mkdir(parents=True)
    (package / "a.py").write_text("one = 1\n")
    (tmp_path / "book" / "measurements").mkdir()
    monkeypatch.setattr(course, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "changed",
    ["attncourse/a.py", "attncourse/data/b.npz", "book/measurements/c.json"],
)
def test_what_cells_compute_from_names_the_cache(root, changed):
    before = course.computed_from()
    assert course.computed_from() == before
    (root / changed).write_text("one = 2\n")
    assert course.computed_from() != before


def test_what_no_cell_runs_keeps_the_cache(root):
    before = course.computed_from()
    (root / "attncourse" / "notebooks" / "d.py").write_text("x = 1\n")
    (root / "attncourse" / "cli.py").write_text("x = 1\n")
    assert course.computed_from() == before


def test_other_caches_are_removed(root):
    app = SimpleNamespace(outdir=root / "_build" / "html")
    old = root / "_build" / ".jupyter_cache" / "old"
    old.mkdir(parents=True)
    config = SimpleNamespace()
    course.use_own_cache(app, config)
    assert not old.exists()
    assert config.nb_execution_cache_path.endswith(course.computed_from())


def test_new_code_has_every_page_read_again(root):
    env = SimpleNamespace(found_docs={"b", "a"})
    app = SimpleNamespace(outdir=root / "html")
    listing = root / "html" / "_modules" / "a.html"
    for changed in ("attncourse/a.py", "book/_ext/b.py"):
        (root / changed).parent.mkdir(exist_ok=True)
        (root / changed).write_text("one = 2\n")
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.touch()
        assert course.read_again(app, env, (), (), ()) == ["a", "b"]
        assert not listing.exists()
        assert course.read_again(app, env, (), (), ()) == []
