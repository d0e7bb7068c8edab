"""The command line says what it does and what went wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attncourse import cli
from attncourse.checking.edit import body, signature_and_docstring
from attncourse.questions.dense.attend import QUESTION

ROOT = Path(__file__).parents[1]
RIGHT = "\n".join(
    (signature_and_docstring(QUESTION.function), body(QUESTION.function))
)
STUB = (
    signature_and_docstring(QUESTION.function)
    + "\n    raise NotImplementedError()"
)
SETUP = "import numpy as np\nfrom attncourse import check"
CHECK = 'check("dense.attend", attend)'


@pytest.fixture
def notebook(tmp_path):
    def write(*cells, name="dense.ipynb"):
        file = tmp_path / name
        made = [{"cell_type": "code", "source": cell} for cell in cells]
        file.write_text(json.dumps({"cells": made}), encoding="utf-8")
        return str(file)

    return write


def test_help_shows_every_command_and_an_example(capsys):
    for arguments, words in (
        ([], ("check", "sync", "class", "attncourse check exercises/")),
        (["check"], ("examples:", "--output", "exit status")),
        (["sync"], ("examples:", "--check", "UNIT")),
        (["class"], ("examples:", "--fresh")),
    ):
        with pytest.raises(SystemExit, match="0"):
            cli.main([*arguments, "--help"])
        shown = capsys.readouterr().out
        assert all(word in shown for word in words)


def test_a_right_notebook_passes(notebook, capsys):
    assert cli.main(["check", notebook(SETUP, RIGHT, CHECK)]) == 0
    shown = capsys.readouterr().out
    assert "dense.attend - Attention and its weights: All right" in shown
    assert "1 of 1 questions pass, 4 of 4 points" in shown


def test_a_wrong_notebook_is_told_why(notebook, capsys):
    wrong = RIGHT.replace("scores / scale", "scores")
    assert wrong != RIGHT
    assert cli.main(["check", notebook(SETUP, wrong, CHECK)]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    says = next(m.says for m in QUESTION.misconceptions if "scale" in m.name)
    assert says[:40] in shown
    assert "0 of 1 questions pass" in shown


def test_an_unsolved_notebook_is_told_what_is_to_do(notebook, capsys):
    assert cli.main(["check", notebook(SETUP, STUB, CHECK)]) == 1
    assert "Still to do" in capsys.readouterr().out


def test_a_missing_function_is_named(notebook, capsys):
    assert cli.main(["check", notebook(SETUP, CHECK)]) == 1
    assert "attend must be defined above" in capsys.readouterr().out


def test_a_cell_that_stops_is_named_and_the_rest_goes_on(notebook, capsys):
    file = notebook(SETUP, "x = 1\nx / 0", "if:", RIGHT, CHECK)
    assert cli.main(["check", file]) == 0
    shown = capsys.readouterr().out
    assert "code cell 2 stopped: ZeroDivisionError in line 2" in shown
    assert "code cell 3 stopped: SyntaxError in line 1" in shown
    assert "2 code cells stopped" in shown


def test_what_cells_print_is_shown_on_request_only(notebook, capsys):
    file = notebook(SETUP, RIGHT, "print('ada')", CHECK)
    cli.main(["check", file])
    assert "ada" not in capsys.readouterr().out
    cli.main(["check", "--output", file])
    assert "ada" in capsys.readouterr().out


def test_magics_and_shell_lines_are_passed_over(notebook):
    magic = "%matplotlib inline\n!pip list\nif True:\n    %timeit 1"
    file = notebook(SETUP, magic, "%%bash\nls", f"%%time\n{RIGHT}", CHECK)
    assert cli.main(["check", file]) == 0


def test_a_percent_sign_in_a_text_is_left_alone(notebook):
    text = 'x = """\n%d\n"""\nassert "pass" not in x'
    assert cli.main(["check", notebook(SETUP, text, RIGHT, CHECK)]) == 0


def test_the_working_folder_and_main_are_as_before(notebook):
    before = Path.cwd(), sys.modules["__main__"], list(sys.path)
    cli.main(["check", notebook(SETUP, RIGHT, CHECK)])
    assert before == (Path.cwd(), sys.modules["__main__"], sys.path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there must be such a file"),
        (b"print()", "must be a notebook (JSON text)"),
        (b"\xff\xfe", "must be a notebook (JSON text)"),
        (b"[]", "must be a notebook of format 4"),
        (b'{"worksheets": []}', "must be a notebook of format 4"),
        (b'{"cells": [{"a": 1}]}', "must be a notebook of format 4"),
        (b'{"cells": []}', "must be a notebook of the course"),
    ],
)
def test_a_bad_file_is_told_clearly(tmp_path, capsys, content, message):
    file = tmp_path / "some.ipynb"
    if content is not None:
        file.write_bytes(content)
    assert cli.main(["check", str(file)]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_is_told_with_the_notebook_in_it(notebook, capsys):
    folder = str(Path(notebook(SETUP)).parent)
    assert cli.main(["check", folder]) == 2
    assert "which holds dense.ipynb" in capsys.readouterr().err


def test_an_unknown_question_is_told_with_those_there_are(notebook, capsys):
    file = notebook(SETUP, RIGHT, 'check("dense.attned", attend)')
    assert cli.main(["check", file]) == 2
    assert "question must be one of dense.attend" in capsys.readouterr().err


def test_checking_needs_neither_nbgrader_nor_torch_nor_unix(notebook):
    file = notebook(SETUP, RIGHT, CHECK)
    # These are missing on Windows, or not needed by a student.
    missing = (
        *("fcntl", "grp", "pwd", "resource", "termios", "tty"),
        *("nbclient", "nbconvert", "nbformat", "nbgrader", "jupytext"),
        *("IPython", "traitlets", "zmq", "torch"),
    )
    code = (
        "import sys\n"
        f"for name in {missing!r}: sys.modules[name] = None\n"
        "from attncourse.cli import main\n"
        f"raise SystemExit(main(['check', {file!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_missing_extra_is_named(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(sys.modules, "jupytext", None)
    assert cli.main(["sync", "--check"]) == 2
    assert 'pip install "attncourse[grading]"' in capsys.readouterr().err


def test_outside_a_checkout_the_author_s_commands_say_so(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for command in ("sync", "class"):
        assert cli.main([command]) == 2
        assert "inside a checkout" in capsys.readouterr().err


def test_the_module_runs_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "attncourse", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip()
