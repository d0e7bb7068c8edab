"""What the GPU benchmark counts and writes, as far as no GPU is needed."""

import json

import pytest
import torch

from attncourse import cli
from attncourse.bench import gpu
from attncourse.bench.gpu import Case


def pairs(length, seen_by):
    return sum(seen_by(place) for place in range(length))


def test_operations_are_counted_by_the_pairs_that_meet():
    # Two products of 2 x width operations for each pair, head and batch.
    full = Case(1024, 64)
    assert (full.heads, full.batch) == (32, 16)
    each = 4 * 64 * 32 * 16
    assert full.flops == each * pairs(1024, lambda place: 1024)
    window = Case(1024, 64, True, window=256)
    seen = pairs(1024, lambda place: min(place + 1, 256))
    assert window.flops == each * seen
    whole = Case(1024, 64, True, window=4096)
    assert whole.flops == each * pairs(1024, lambda place: place + 1)
    # By convention half of all, which leaves half of the diagonal out.
    assert Case(1024, 64, True).flops == full.flops / 2
    assert Case(1024, 64, False, True).flops == 3.5 * full.flops


def test_positions_and_columns_are_the_same_in_every_case():
    for case in gpu.cases([2048, 16384]):
        assert case.batch * case.length == 16384
        assert case.heads * case.width == 2048
    assert Case(32768, 128).batch == 1


def test_the_goals_are_those_of_the_longest_full_ones():
    goals = {
        (case.width, case.backward): case.target
        for case in gpu.cases([2048, 16384])
        if case.target is not None
    }
    assert goals == {
        (64, False): 400.0,
        (64, True): 330.0,
        (128, False): 500.0,
        (128, True): 330.0,
    }


def test_every_case_has_a_name_of_its_own():
    names = [
        (case.name, case.length, case.width)
        for case in gpu.cases([2048, 16384])
    ]
    assert len(set(names)) == len(names) == 2 * 8 + 4
    assert names[-1] == ("both passes, causal, window 1024", 16384, 128)


def refuse():
    raise RuntimeError("No available kernel")


def fake(case, *, right=True):
    """Measure with a timer that knows how long each way takes."""
    work = {"ours": lambda: 2.0, "flash": lambda: 4.0, "cudnn": refuse}
    return gpu.measure(
        case,
        work,
        rounds=3,
        right=lambda: right,
        timer=lambda work, rounds: work(),
    )


def test_a_row_holds_times_speeds_and_ratios(capsys):
    case = Case(16384, 128)
    row = fake(case)
    assert json.loads(json.dumps(row)) == row
    assert set(row) == {
        *("name", "length", "width", "batch", "heads", "flops", "ms"),
        *("tflops", "ratio", "target", "right", "rounds"),
    }
    assert row["ms"] == {"ours": 2.0, "flash": 4.0, "cudnn": None}
    assert row["ratio"] == {"flash": 0.5, "cudnn": None}
    # 2 ms for 4 x 16384 squared x 2048 operations.
    assert row["tflops"]["ours"] == pytest.approx(1099.5, abs=0.1)
    assert row["tflops"]["cudnn"] is None
    assert "cudnn: No available kernel" in capsys.readouterr().err


def test_our_own_failure_is_not_hidden():
    with pytest.raises(RuntimeError, match="No available kernel"):
        gpu.measure(
            Case(2048, 64),
            {"ours": refuse},
            rounds=1,
            right=lambda: True,
            timer=lambda work, rounds: work(),
        )


def test_the_table_tells_goals_wrong_results_and_the_best_tiles():
    rows = [fake(Case(16384, 128)), fake(Case(16384, 64), right=False)]
    rows[1]["tflops"]["ours"] = 399.0
    tried = [{"config": "as configured", "ms": 1.5}]
    tuning = {"kernel": "forward", "case": "x", "tried": tried}
    found = {
        "device": {"name": "a GPU"},
        "rows": rows,
        "tuning": [{**tuning, "best": tried[0]}, {**tuning, "best": None}],
    }
    lines = gpu.table(found).splitlines()
    assert lines[0].startswith("a GPU: TFLOP/s")
    assert "goal" not in lines[2]
    assert "1100   500    550  0.50      -     -" in lines[2]
    assert lines[3].endswith("below the goal WRONG RESULT")
    assert lines[4] == "best forward, x: as configured, 1.500 ms"
    assert lines[5] == "best forward, x: -"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_a_gpu_the_command_says_so(capsys):
    assert cli.main(["bench", "--gpu"]) == 2
    assert "bench --gpu needs an NVIDIA GPU" in capsys.readouterr().err


def test_the_search_needs_a_gpu(capsys):
    assert cli.main(["bench", "--tune"]) == 2
    assert "--tune needs --gpu" in capsys.readouterr().err


def test_without_triton_the_command_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
    assert gpu.run([64], rounds=1) == 2
    said = capsys.readouterr().err
    assert 'needs Triton: pip install "attncourse[triton]"' in said
