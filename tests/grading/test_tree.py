import os
from pathlib import Path

import pytest
from confined import LEVEL, forked, needs_isolation, outcome

from attncourse.grading.inside import landlock, linux, tree


@pytest.fixture
def packages(tmp_path):
    """A folder of installed packages, one of which is to be hidden."""
    site = tmp_path / "lib" / "site-packages"
    for name in ("numpy", "course", "course_tools", "coursework"):
        (site / name).mkdir(parents=True)
        (site / name / "code.py").write_text("x = 1\n")
    (site / "course-1.0.dist-info").mkdir()
    (site / "__editable___course_1_0_finder.py").touch()
    (site / "alias").symlink_to("numpy")
    (site / "around").symlink_to("..")
    (site / "inner").symlink_to("course/code.py")
    return site


def test_what_hides_nothing_is_allowed_whole(packages):
    assert list(tree.without(packages, ())) == [packages]
    assert list(tree.without(packages, [Path("/elsewhere")])) == [packages]


def test_a_hidden_package_is_left_out_entry_by_entry(packages):
    allowed = set(tree.without(packages, [packages / "course"]))
    names = {path.relative_to(packages).parts[0] for path in allowed}
    assert packages not in allowed
    assert {"numpy", "coursework", "course_tools"} < names
    assert "course" not in names


def test_no_link_leads_to_what_is_hidden_or_around_it(packages):
    secret = packages / "course"
    for path in tree.without(packages, [secret]):
        assert not path.is_symlink()
        assert not tree.leads_up(path, [secret])


def test_nothing_of_what_is_secret_is_allowed_from_within(packages):
    secret = packages / "course"
    assert list(tree.without(secret, [secret])) == []
    assert list(tree.without(secret / "code.py", [secret])) == []


@pytest.mark.parametrize(
    ("entry", "belongs"),
    [
        ("course", True),
        ("course.py", True),
        ("course.cpython-311-x86_64-linux-gnu.so", True),
        ("course-1.0.dist-info", False),
        ("course_tools", False),
        ("coursework", False),
        ("numpy", False),
    ],
)
def test_the_code_of_a_package_is_known_by_its_name(entry, belongs):
    assert tree._belongs(entry, {"course"}) is belongs


def test_the_course_is_not_among_what_a_notebook_reads():
    allowed = tree.readable({"attncourse"})
    assert allowed
    course = Path(tree.__file__).parents[2]
    assert not [path for path in allowed if tree.leads_up(path, [course])]
    numpy = Path(__import__("numpy").__file__).resolve()
    assert any(path in numpy.parents for path in allowed)


def test_what_is_asked_for_is_allowed_besides(tmp_path):
    assert tmp_path.resolve() in tree.readable((), [tmp_path])


@needs_isolation
def test_the_kernel_holds_a_process_to_what_is_allowed(packages):
    allowed = list(tree.without(packages, [packages / "course"]))

    def read(_):
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        landlock.restrict(
            landlock.Place.at(path, landlock.READ) for path in allowed
        )
        return {
            name: outcome((packages / name).read_bytes)
            for name in (
                "numpy/code.py",
                "alias/code.py",
                "course/code.py",
                "inner",
                "around/site-packages/course/code.py",
            )
        }

    told = forked(read).value
    assert told.pop("numpy/code.py") == told.pop("alias/code.py") == "done"
    assert set(told.values()) == {"PermissionError"}


@needs_isolation
@pytest.mark.parametrize("abi", range(1, LEVEL.landlock + 1))
def test_older_versions_of_landlock_hold_files_too(tmp_path, abi):
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "secret").touch()

    def attempt(_):
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        landlock.restrict([landlock.Place.at(own, landlock.OWN)], abi=abi)
        return [
            outcome((own / "mine").touch),
            outcome((tmp_path / "secret").read_bytes),
            outcome((tmp_path / "new").touch),
            outcome(lambda: os.link(tmp_path / "secret", own / "link")),
        ]

    mine, *others = forked(attempt).value
    assert mine == "done"
    assert not {"done"} & set(others)
