"""The benchmark runs, and what it writes is complete. No time is judged."""

import json
import sys
from xml.etree import ElementTree

import pytest
import torch

from attncourse import cli
from attncourse.bench import cpu, picture, report, timing

ROW = {
    *("name", "length", "threads", "ours_ms", "sdpa_ms", "ratio", "target"),
    *("rounds", "clock"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def found(folder):
    arguments = ["bench", "--lengths", "7", "263", "--rounds", "1"]
    arguments += ["--json", str(folder / "cpu.json")]
    assert cli.main([*arguments, "--picture", str(folder / "cpu.svg")]) == 0
    return json.loads((folder / "cpu.json").read_text(encoding="utf-8"))


def test_every_case_is_measured_against_its_goal(found):
    assert all(set(row) - {"beside"} == ROW for row in found["rows"])
    names = [(row["name"], row["length"]) for row in found["rows"]]
    assert names == [
        ("forward, full", 7),
        ("forward, causal", 7),
        ("forward, full", 263),
        ("backward, full", 263),
        ("forward, causal", 263),
        ("backward, causal", 263),
        ("window of 256", 263),
        ("grouped decode", 263),
        ("forward, two threads", 263),
    ]
    for row in found["rows"]:
        assert row["ours_ms"] > 0
        assert row["sdpa_ms"] > 0
        assert row["ratio"] > 0
        assert row["rounds"] == 1
        assert row["clock"] in ("process_time", "perf_counter")
    goals = {row["name"]: row["target"] for row in found["rows"][2:]}
    assert goals == {
        "forward, full": 1.15,
        "forward, causal": 1.15,
        "backward, full": 1.05,
        "backward, causal": 1.05,
        "window of 256": None,  # set for long ones
        "grouped decode": None,
        "forward, two threads": 1.15,
    }
    assert found["rows"][0]["target"] == 1.3
    (decode,) = (row for row in found["rows"] if "beside" in row)
    assert decode["beside"]["ratio"] > 0


def test_long_windows_and_caches_have_goals(monkeypatch):
    monkeypatch.setattr(cpu, "LONG", 263)
    goals = {case.name: case.target for case in cpu.cases([263])}
    assert goals["window of 256"] == 0.15
    assert goals["grouped decode"] == 0.25


def test_the_file_says_where_when_and_with_what(found):
    assert set(found["device"]) == {"name", "cores", "system"}
    assert found["device"]["name"]
    assert found["date"].endswith("+00:00")
    assert found["command"] == ("attncourse bench --lengths 7 263 --rounds 1")
    assert found["versions"]["torch"] == torch.__version__
    assert set(found["versions"]) == {"attncourse", "python", "torch"}
    assert isinstance(found["busy"], bool)
    assert found["memory"]["scores_bytes"] == 4 * 8 * 263**2
    assert found["memory"]["ours_bytes"] >= 4 * 8 * 263 * 64


def test_the_table_has_a_line_for_each_case(found):
    shown = report.table({**found, "busy": True, "load_before": 3.0})
    lines = shown.splitlines()
    cases = len(found["rows"])
    assert len(lines) == 1 + cases + 1 + 1 + 1  # beside, memory, busy
    assert "sdpa with enable_gqa" in shown
    assert "busy (load 3.0 before)" in shown
    assert "busy" not in report.table({**found, "busy": False})
    slow = {**found["rows"][0], "ratio": 2.0, "target": 1.3}
    (line,) = (
        line
        for line in report.table({**found, "rows": [slow]}).splitlines()
        if line.startswith("forward, full")
    )
    assert line.endswith(f"! {'#' * 20}")


def texts(file):
    """Return what one can read in an SVG."""
    root = ElementTree.parse(file).getroot()
    found = root.iter("{http://www.w3.org/2000/svg}text")
    return ["".join(each.itertext()).strip() for each in found]


def test_the_picture_has_a_line_for_each_case(found, folder):
    shown = texts(folder / "cpu.svg")
    for row in found["rows"]:
        assert f"{row['name']}  {row['length']}" in shown
        assert any(each.startswith(f"{row['ratio']:.2f}") for each in shown)
    assert any(found["device"]["name"] in each for each in shown)
    busy = any("while the machine was busy" in each for each in shown)
    assert busy == found["busy"]


GOALS = [
    {"name": "a", "length": 7, "ratio": 0.5, "target": 1.0},
    {"name": "b", "length": 9, "ratio": 0.25, "target": None},
    {"name": "a", "length": 5, "ratio": 1.5, "target": 1.25},
]


def test_the_picture_says_in_words_and_shapes_which_goals_are_missed(
    found, tmp_path
):
    file = tmp_path / "goals.svg"
    picture.draw({**found, "rows": GOALS, "busy": True}, file)
    shown = texts(file)
    assert [each for each in shown if "goal" in each] == [
        "1.50 (goal 1.25)",
        "goal met",
        "goal missed",
        "no goal",
        "goal",
    ]
    # The cases of one name stand together, short ones first.
    assert [each for each in shown if each[:3] in ("a  ", "b  ")] == [
        "a  5",
        "a  7",
        "b  9",
    ]
    looks = picture.LOOKS.values()
    assert len({look.marker for look in looks}) == len(looks)
    assert [picture.verdict(row) for row in GOALS] == [
        "met",
        "no goal",
        "missed",
    ]
    assert picture.verdict({"ratio": 1.0, "target": 1.0}) == "met"
    picture.draw({**found, "rows": GOALS[1:2]}, file)
    assert "goal missed" not in texts(file)


def test_a_picture_is_written_in_the_kind_that_its_name_tells(found, tmp_path):
    measured = {**found, "rows": GOALS}
    for name in ("one.svg", "two.svg", "three.PNG"):
        picture.draw(measured, tmp_path / name)
    one, two = ((tmp_path / f"{n}.svg").read_bytes() for n in ("one", "two"))
    assert one == two
    assert (tmp_path / "three.PNG").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("length", [7, 263, 601])
def test_both_sides_of_a_case_compute_the_same(length):
    for case in cpu.cases([length]):
        ours, theirs = case.ours(), case.theirs()
        if not isinstance(ours, tuple):
            ours, theirs = (ours,), (theirs,)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        if case.beside is not None:
            torch.testing.assert_close(
                case.beside(), theirs[0], rtol=1e-4, atol=1e-5
            )


def test_the_ratio_is_the_median_of_the_rounds(monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(timing, "_repeats", lambda work, now: 1)
    monkeypatch.setattr(timing, "clock_of", lambda threads: "perf_counter")
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks) * 0.5)
    spent = timing.compare(
        lambda: [next(ticks) for _ in range(3)], lambda: None, rounds=5
    )
    assert spent.ratio == 4.0
    assert (spent.ours_ms, spent.theirs_ms) == (2000.0, 500.0)


def test_threads_are_set_back():
    before = torch.get_num_threads()
    *_, case = cpu.cases([7])
    assert case.threads == 2
    cpu.measure(case, rounds=1)
    assert torch.get_num_threads() == before


def test_wrong_options_are_told(capsys, tmp_path):
    for wrong in ("0", "-3", "many"):
        with pytest.raises(SystemExit, match="2"):
            cli.main(["bench", "--lengths", wrong])
    assert "at least 1: got many" in capsys.readouterr().err
    absent = tmp_path / "absent" / "cpu.json"
    assert cli.main(["bench", "--json", str(absent)]) == 2
    assert "the folder must exist" in capsys.readouterr().err
    assert cli.main(["bench", "--picture", str(absent)]) == 2
    assert "the folder must exist" in capsys.readouterr().err
    assert cli.main(["bench", "--picture", str(tmp_path / "speed.gif")]) == 2
    assert (
        "a picture's name must end in .svg, .png, .pdf: got speed.gif"
        in capsys.readouterr().err
    )
    assert cli.main(["bench", "--gpu", "--picture", "speed.svg"]) == 2
    assert "--gpu has no --picture" in capsys.readouterr().err


def test_without_torch_the_command_says_what_to_install(monkeypatch, capsys):
    for name in list(sys.modules):
        if name.startswith(("attncourse.bench.", "attncourse.fast.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(sys.modules["attncourse.bench"], "report")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["bench"]) == 2
    assert 'pip install "attncourse[torch]"' in capsys.readouterr().err


def test_without_matplotlib_the_command_says_what_to_install(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["bench", "--picture", str(tmp_path / "speed.svg")]) == 2
    assert 'pip install "attncourse[book]"' in capsys.readouterr().err


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds must be at least 1: got 0"):
        timing.compare(int, int, rounds=0)


def test_the_help_has_examples_and_the_options(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["bench", "--help"])
    shown = capsys.readouterr().out
    for word in ("examples:", "--lengths", "--rounds", "--json", "--picture"):
        assert word in shown


def test_the_picture_has_the_books_colours_so_that_a_dark_page_turns_them():
    from attncourse.figures import style

    assert (picture.INK, picture.MUTED, picture.FAINT) == (
        style.INK,
        style.MUTED,
        style.FAINT,
    )
    used = {look.color for look in picture.LOOKS.values()}
    assert used <= {role.light for role in style.ROLES.values()}
