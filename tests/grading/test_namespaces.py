import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from confined import forked, needs_isolation, needs_namespaces, outcome

from attncourse.grading.inside import linux, namespaces

pytestmark = needs_isolation
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ALL = ("net", "ipc", "uts", "pid", "mount")


@pytest.fixture
def folder():
    """A private folder's folder for a child."""
    base = Path(tempfile.mkdtemp())
    own = base / "own"
    own.mkdir()
    (own / "helper.py").write_text("ANSWER = 42\n")
    (own / "data").mkdir()
    (own / "data" / "a.txt").write_text("text")
    (own / "big").write_bytes(bytes(5 << 20))  # more than may be written
    (own / "link").symlink_to("/etc/passwd")
    yield own
    shutil.rmtree(base)


def start(folder, user="root", preload="", python=sys.executable):
    script = HERE.parent / "confined_server.py"
    return subprocess.Popen(
        [python, "-I", script, ROOT, folder, user, preload],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def served(folder, functions, **options):
    """Run functions in children of a server; return what each answered."""
    source = "\n".join(
        textwrap.dedent(inspect.getsource(each)) for each in functions
    )
    with start(folder, **options) as server:
        out, err = server.communicate(source, timeout=60)
    assert server.returncode == 0, err
    answers = json.loads(out)
    for name, answer in answers.items():
        if isinstance(answer, dict) and "error" in answer:
            pytest.fail(f"{name}: {answer['error']}")
    return {
        name: answer["value"] if isinstance(answer, dict) else answer
        for name, answer in answers.items()
    }


def own_folder():
    import os

    kept = sorted(os.listdir("."))
    os.chdir("data")
    inner = os.listdir(".")
    os.chdir("..")
    with open("helper.py") as file:
        text = file.read()
    with open("new", "w") as file:
        file.write("x" * 1000)
    with open(os.path.join(FOLDER, "new")) as file:
        return [kept, inner, text, file.read(3)]


def fills_the_disk():
    written = 0
    try:
        for k in range(100):
            with open(f"f{k}", "wb") as file:
                written += file.write(bytes(1 << 20))
    except OSError as why:
        return [written, type(why).__name__, why.errno]


def starts_threads():
    import threading

    threading.stack_size(1 << 16)
    stop, made = threading.Event(), 0
    try:
        for _ in range(50):
            thread = threading.Thread(target=stop.wait, daemon=True)
            thread.start()
            made += 1
    except RuntimeError:
        pass
    stop.set()
    return made


def looks_around():
    import os

    return {
        path: os.path.exists(path)
        for path in (
            ROOT,
            os.path.join(ROOT, "solutions"),
            os.path.join(ROOT, "attncourse", "questions"),
            os.path.join(ROOT, "attncourse", "grading", "inside"),
            "/etc/passwd",
            "/home",
            "/var",
            "/run",
        )
    }


def who_am_i():
    import os

    return [os.getuid(), os.geteuid(), os.getgroups(), os.getppid()]


def server_sees():
    import os

    return [
        os.getpid(),
        sorted(each for each in os.listdir("/proc") if each.isdigit()),
        os.path.exists("/etc/passwd"),
        os.listdir("/tmp"),
        open("/proc/net/dev").read().count(":"),
    ]


def server_cannot_write():
    import os

    refused = []
    for path in ("/x", "/etc/x", "/usr/lib/x", "/proc/sys/kernel/x"):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        except OSError:
            refused.append(path)
    return refused


TOLD = (
    own_folder,
    fills_the_disk,
    starts_threads,
    looks_around,
    who_am_i,
    server_sees,
    server_cannot_write,
)
USERS = ["root", "1000"] if os.getuid() == 0 else ["root"]


@needs_namespaces(*ALL)
@pytest.mark.parametrize("user", USERS)
def test_namespaces_hide_everything_else(folder, user):
    told = served(folder, TOLD, user=user)
    names = (["user"] if user != "root" or os.getuid() else []) + [*ALL]
    assert told["level"].endswith(f"namespaces: {', '.join(names)}")
    kept, inner, text, at = told["own_folder"]
    assert kept == ["big", "data", "helper.py"]  # the link is not copied
    assert (inner, text, at) == (["a.txt"], "ANSWER = 42\n", "xxx")
    written, error, number = told["fills_the_disk"]
    assert 0 < written <= 4 << 20
    assert (error, number) == ("OSError", 28)
    assert 1 <= told["starts_threads"] <= 12
    assert {
        os.path.relpath(path, ROOT): seen
        for path, seen in told["looks_around"].items()
        # A folder above the checkout is there, as a way to it.
        if seen and Path(path) not in Path(ROOT).parents
    } == {".": True, "attncourse/grading/inside": True}
    uid, effective, groups, parent = told["who_am_i"]
    assert uid == effective != 0
    assert groups in ([], [65534])
    assert parent == 1
    number, processes, passwords, temporary, interfaces = told["server_sees"]
    assert (number, processes, passwords) == (1, ["1"], False)
    # Nothing of the checkout but what lies above its visible part.
    seen = {folder.parent.name, *Path(ROOT).parts}
    assert folder.parent.name in temporary
    assert set(temporary) <= seen
    assert interfaces == 1
    assert len(told["server_cannot_write"]) == 4


@needs_namespaces(*ALL)
def test_what_is_written_inside_is_gone_with_the_child(folder):
    served(folder, [own_folder])
    assert not (folder / "new").exists()
    assert not (folder.parent / ".root").exists()


@needs_namespaces(*ALL)
def test_a_folder_below_what_is_visible_can_be_written(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "seen").write_text("text")

    def look(_):
        names = namespaces.enter_namespaces([tmp_path], own)
        (own / "new").touch()
        return [
            names,
            (tmp_path / "seen").read_text(),
            outcome((tmp_path / "other").touch),
            sorted(os.listdir(tmp_path)),
        ]

    told = forked(look)
    assert told.error is None, told.error
    names, text, other, listed = told.value
    assert names[-1] == "mount"
    assert (text, other, listed) == ("text", "OSError", ["own", "seen"])
    assert os.listdir(own) == ["new"]


@needs_namespaces(*ALL)
def test_a_tree_that_cannot_be_replaced_is_left_as_it_was(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(linux, "PIVOT_ROOT", None)

    def look(_):
        names = namespaces.enter_namespaces([], tmp_path)
        return names, os.path.exists("/etc/passwd"), os.listdir(tmp_path)

    names, there, left = forked(look).value
    assert "mount" not in names
    assert (there, left) == (True, [])


def waits():
    import time

    time.sleep(60)


def _descendants(pid):
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found


@needs_namespaces("pid")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_all_processes_end_with_the_server(folder, number):
    with start(folder) as server:
        server.stdin.write(textwrap.dedent(inspect.getsource(waits)))
        server.stdin.close()
        deadline = time.monotonic() + 5
        while len(_descendants(server.pid)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.1)
        below = _descendants(server.pid)
        server.send_signal(number)
        server.wait(10)
        deadline = time.monotonic() + 5
        while any(Path("/proc", str(pid)).exists() for pid in below):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@needs_namespaces("pid")
def test_the_one_left_behind_ends_as_the_server_ends(folder):
    with start(folder) as server:
        server.communicate("raise SystemExit(7)", timeout=20)
    assert server.returncode == 7
    with start(folder) as server:
        source = "import os, signal; os.kill(os.getpid(), 9); os.abort()"
        server.communicate(source, timeout=20)
    assert server.returncode in (-signal.SIGABRT, -signal.SIGSEGV)


def trains_with_torch():
    import torch

    torch.manual_seed(0)
    layer = torch.nn.Linear(7, 3)
    adam = torch.optim.Adam(layer.parameters(), lr=0.01)
    x = torch.randn(11, 7)
    before = float(layer(x).square().mean())
    for _ in range(3):
        adam.zero_grad()
        loss = layer(x).square().mean()
        loss.backward()
        adam.step()
    torch.save(layer.state_dict(), "layer.pt")
    layer.load_state_dict(torch.load("layer.pt"))
    return float(layer(x).square().mean()) < before


def uses_torch_threads():
    import torch

    torch.set_num_threads(4)
    a = torch.ones(500, 500)
    return float((a @ a).sum())


def uses_a_shell():
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    shell = InteractiveShell(config=config)
    result = shell.run_cell("import math\nx = math.sqrt(49)\nx")
    return [result.success, result.result]


def draws():
    import os

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.plot([1, 2], [3, 4])
    plt.title("query · key")
    plt.savefig("figure.png")
    plt.savefig("figure.svg")
    return os.path.getsize("figure.png") > 1000


def multiplies():
    import numpy as np

    a = np.random.default_rng(0).normal(size=(600, 600))
    return bool(np.allclose(np.linalg.inv(a) @ a, np.eye(600)))


def keeps_temporary_files():
    import tempfile

    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("text")
        file.flush()
        return file.name.startswith(FOLDER)


def cannot_import_the_course():
    import importlib.util

    try:
        return importlib.util.find_spec("attncourse") is None
    except OSError:
        return True


HONEST = (
    trains_with_torch,
    uses_torch_threads,
    uses_a_shell,
    draws,
    multiplies,
    keeps_temporary_files,
    cannot_import_the_course,
)


def test_what_notebooks_do_works_inside(folder):
    pytest.importorskip("torch")
    told = served(folder, HONEST, preload="numpy torch torch._dynamo IPython")
    assert told["trains_with_torch"] is True
    assert told["uses_torch_threads"] == 500.0**3
    assert told["uses_a_shell"] == [True, 7.0]
    assert told["draws"] is True
    assert told["multiplies"] is True
    assert told["keeps_temporary_files"] is True
    assert told["cannot_import_the_course"] is True
