"""The wheel holds the package and nothing secret; imports stay light."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from attncourse.notebooks import sync
from attncourse.notebooks.course import Course
from attncourse.notebooks.release import HIDDEN, SOLVED

ROOT = Path(__file__).parents[1]
COURSE = Course(ROOT)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel as a publisher would, from a copy."""
    import shutil

    copy = tmp_path_factory.mktemp("source")
    for name in ("attncourse", "solutions", "exercises", "tests"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    (copy / "classroom").mkdir()
    (copy / "classroom" / "key").write_text("secret")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", "dist", "."),
        ],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    (file,) = (copy / "dist").glob("*.whl")
    return zipfile.ZipFile(file)


def test_the_wheel_holds_the_package_and_its_data_only(wheel):
    names = wheel.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top.split("-")[0] for top in tops} == {"attncourse"}
    for needed in ("cli.py", "questions/dense/attend.py", "datasets.py"):
        assert f"attncourse/{needed}" in names
    data = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "attncourse" / "data").glob("*")
        if file.is_file() and file.suffix != ".py"
    }
    assert data <= set(names)


def bodies(tree):
    """Return the bodies of functions that say more than one thing."""
    return {
        "\n".join(map(ast.dump, node.body))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and len(node.body) > 1
    }


def explanations(source):
    """Return what a hidden test says about predictions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and [
            getattr(each, "id", "") for each in node.targets
        ] == ["because"]:
            for options in ast.literal_eval(node.value).values():
                yield from options.values()


def test_the_wheel_holds_no_secret(wheel):
    texts = [
        wheel.read(name).decode()
        for name in wheel.namelist()
        if name.endswith(".py")
    ]
    text = "\n".join(texts)
    public = set().union(*(bodies(ast.parse(each)) for each in texts))
    for stem in COURSE.stems():
        for cell in sync.source_of(COURSE, stem).cells:
            for hidden in HIDDEN.findall(cell.source):
                assert not bodies(ast.parse(hidden)) & public
                for note in explanations(hidden):
                    assert note not in text
            own = cell.metadata.get("nbgrader", {})
            if own.get("solution") and own.get("grade"):
                (answer,) = SOLVED.findall(cell.source)
                long = [x for x in answer.splitlines() if len(x) > 30]
                assert long
                assert not [line for line in long if line in text]


def loaded(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


HEAVY = {"torch", "nbgrader", "matplotlib", "IPython", "jupytext", "nbformat"}


def test_importing_the_package_loads_nothing_else():
    assert not (HEAVY | {"numpy"}) & loaded("import attncourse")


def test_asking_a_question_loads_numpy_and_nothing_heavy():
    names = loaded(
        "from attncourse import check, questions\n"
        "questions.load('dense.attend')"
    )
    assert "numpy" in names
    assert not HEAVY & names


def test_the_command_s_help_is_light():
    assert not (HEAVY | {"numpy"}) & loaded(
        "from attncourse.cli import parser\nparser()"
    )


def test_every_direct_dependency_has_an_exact_pin():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    # What follows a semicolon says on which machines.
    pins = [line.partition(";")[0] for line in wanted]
    assert all(pin.count("==") == 1 for pin in pins)
