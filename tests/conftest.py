"""What several test files share: the book as it is built."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
SOURCES = ("_config.yml", "book", "attncourse")
# How fast a machine draws examples, beside others' work, is not tested.
settings.register_profile(
    "course", suppress_health_check=[HealthCheck.too_slow]
)
if settings.get_current_profile_name() == "default":
    settings.load_profile("course")
# Parts of the package that no chapter runs.
UNUSED = {"cli.py", "cli_options.py", "notebooks", "__pycache__"}


def newest(*paths):
    """Return the time of the last change below the given paths."""
    files = [
        file
        for path in paths
        for file in ([path] if path.is_file() else path.rglob("*"))
        if file.is_file() and not UNUSED & set(file.parts)
    ]
    return max((file.stat().st_mtime for file in files), default=0.0)


@pytest.fixture(scope="session")
def built_book():
    """Return the folder of the built book; build it if it is stale."""
    (ROOT / "_build").mkdir(exist_ok=True)
    # Under pytest-xdist several workers ask at once; one of them builds.
    with FileLock(ROOT / "_build" / "book.lock"):
        start = HTML / "index.html"
        built = start.stat().st_mtime if start.is_file() else 0.0
        if newest(*(ROOT / name for name in SOURCES)) > built:
            build()
    return HTML


def build():
    """Build the book; every warning is an error."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("jupyter-book"),
            *("build", "book", "--config", "_config.yml"),
            *("--path-output", ".", "-W", "--keep-going", "-q"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        # The kernels that run the cells are found next to this Python.
        env={
            **os.environ,
            "PATH": os.pathsep.join(
                [str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "OMP_NUM_THREADS": "1",
        },
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).splitlines()
        told = [line for line in said if "WARNING" in line or "ERROR" in line]
        pytest.fail("the book must build: " + "\n".join(told or said[-30:]))
    (HTML / "index.html").touch()
