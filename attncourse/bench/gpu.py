"""The Triton kernels against torch's operators on an NVIDIA GPU.

bfloat16, 16,384 positions in all, 2,048 columns of heads. Beside ours run
SDPA's flash backend and cuDNN's, in the same run, each after the L2 cache
was overwritten. Each result is checked before it is timed.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from attncourse.bench import report
from attncourse.bench.gpu_cases import Case, Work, cases, draw, right, ways

METHOD = (
    "CUDA events, medians of `rounds` runs after three that do not count; "
    "the L2 cache is overwritten before each. bfloat16, batch times length "
    "16384, heads times width 2048. FLOPs of a forward pass: 4 x pairs x "
    "width x heads x batch, where pairs is length^2, half of it if causal, "
    "and the number of visible keys with a window; of both passes 3.5 "
    "times as many."
)
Timer = Callable[[Work, int], float]


def run(
    lengths: Sequence[int],
    *,
    rounds: int,
    tune: bool = False,
    json_file: Path | None = None,
    command: str = "",
) -> int:
    """Measure on a GPU, print a table, write JSON if asked; 0 if all is right.

    The status is 2 without a GPU or Triton, and 1 if a result is wrong.
    """
    if not torch.cuda.is_available():
        print(
            "attncourse: bench --gpu needs an NVIDIA GPU and a PyTorch with "
            "CUDA: got none",
            file=sys.stderr,
        )
        return 2
    if importlib.util.find_spec("triton") is None:
        print(
            'attncourse: bench --gpu needs Triton: pip install "attncourse'
            '[triton]"',
            file=sys.stderr,
        )
        return 2
    load = report.load_average()
    found = {**report.circumstances(load, command), **circumstances()}
    rows = found["rows"] = []
    for number, case in enumerate(chosen := list(cases(lengths)), 1):
        place = f"[{number}/{len(chosen)}] {case.name}, {case.length}"
        print(f"{place}, {case.width}", file=sys.stderr, flush=True)
        arrays = draw(case)
        rows.append(
            measure(
                case,
                ways(case, arrays),
                rounds=rounds,
                right=functools.partial(right, case, arrays),
            )
        )
    if tune:
        found["tuning"] = [
            best(kernel, width, causal, length=max(lengths), rounds=rounds)
            for kernel in ("forward", "query_gradients", "key_gradients")
            for width in (64, 128)
            for causal in (False, True)
        ]
    print(table(found))
    if json_file is not None:
        text = json.dumps(found, indent=1, ensure_ascii=False)
        json_file.write_text(text + "\n", encoding="utf-8")
        print(f"written: {json_file}")
    return int(not all(row["right"] for row in rows))


def circumstances() -> dict:
    """Return with which GPU and which programs it was measured."""
    import triton

    properties = torch.cuda.get_device_properties(0)
    versions = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "triton": triton.__version__,
    }
    return {
        "device": {
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
        },
        "versions": versions,
        "method": METHOD,
    }


def measure(
    case: Case,
    ways: dict[str, Work],
    *,
    rounds: int,
    right: Callable[[], bool],
    timer: Timer | None = None,
) -> dict:
    """Return what was measured of one case, ready for JSON.

    A way that torch refuses has None for its time.
    """
    correct = right()
    times: dict[str, float | None] = {}
    for name, work in ways.items():
        try:
            times[name] = (timer or median_ms)(work, rounds)
        except RuntimeError as error:
            if name == "ours":
                raise
            print(f"  {name}: {str(error)[:70]}", file=sys.stderr)
            times[name] = None
    mine = times["ours"]
    return {
        "name": case.name,
        "length": case.length,
        "width": case.width,
        "batch": case.batch,
        "heads": case.heads,
        "flops": case.flops,
        "ms": times,
        "tflops": {
            name: None if ms is None else case.flops / ms / 1e9
            for name, ms in times.items()
        },
        "ratio": {
            name: None if ms is None or mine is None else mine / ms
            for name, ms in times.items()
            if name != "ours"
        },
        "target": case.target,
        "right": correct,
        "rounds": rounds,
    }


def median_ms(work: Work, rounds: int) -> float:
    """Return the median time on the GPU, with a cold L2 cache."""
    for _ in range(3):
        work()
    # Larger than the cache by far: while it is overwritten, the processor
    # gets ahead of the GPU, which then need not wait for the next kernel.
    cache = torch.empty(2**30, dtype=torch.int8, device="cuda")
    pairs = []
    for _ in range(rounds):
        cache.zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        pairs.append((start, end))
    torch.cuda.synchronize()
    return statistics.median(one.elapsed_time(two) for one, two in pairs)


def best(
    kernel: str, width: int, causal: bool, *, length: int, rounds: int
) -> dict:
    """Return the times of all candidates for a kernel's tiles."""
    from attncourse.fast.kernels import config, launch

    case = Case(length, width, causal, backward=kernel != "forward")
    arrays = draw(case)
    work = ways(case, arrays)["ours"]
    tried: list[dict] = []
    for candidate in (None, *config.candidates(width, kernel=kernel)):
        launch.chosen.clear()
        if candidate is not None:
            launch.chosen[kernel] = candidate
        try:
            ms = median_ms(work, rounds) if right(case, arrays) else None
        except Exception as error:  # of whatever the compiler dislikes
            print(f"  {candidate}: {str(error)[:70]}", file=sys.stderr)
            ms = None
        name = "as configured" if candidate is None else str(candidate)
        print(f"  {kernel} {width} {name}: {ms}", file=sys.stderr, flush=True)
        tried.append({"config": name, "ms": ms})
    launch.chosen.clear()
    timed = [each for each in tried if each["ms"] is not None]
    return {
        "kernel": kernel,
        "case": f"{case.name}, {length}, {width}",
        "tried": tried,
        "best": min(timed, key=lambda each: each["ms"]) if timed else None,
    }


def table(found: dict) -> str:
    """Return the measurements as text: TFLOP/s, and ratios of times."""
    lines = [
        f"{found['device']['name']}: TFLOP/s; a ratio is our time over theirs",
        f"{'':32}{'length':>7}{'width':>6}{'ours':>6}{'goal':>6}"
        f"{'flash':>7}{'ratio':>6}{'cuDNN':>7}{'ratio':>6}",
    ]
    for row in found["rows"]:
        speed, ratio, goal = row["tflops"], row["ratio"], row["target"]
        missed = goal is not None and speed["ours"] < goal
        lines.append(
            f"{row['name']:32}{row['length']:>7}{row['width']:>6}"
            f"{_shown(speed['ours'], 6)}{_shown(goal, 6)}"
            f"{_shown(speed['flash'], 7)}{_shown(ratio['flash'], 6, 2)}"
            f"{_shown(speed['cudnn'], 7)}{_shown(ratio['cudnn'], 6, 2)}"
            f"{' below the goal' if missed else ''}"
            f"{'' if row['right'] else ' WRONG RESULT'}"
        )
    for each in found.get("tuning", ()):
        fastest = each["best"]
        shown = (
            f"{fastest['config']}, {fastest['ms']:.3f} ms" if fastest else "-"
        )
        lines.append(f"best {each['kernel']}, {each['case']}: {shown}")
    return "\n".join(lines)


def _shown(value: float | None, wide: int, digits: int = 0) -> str:
    return ("-" if value is None else f"{value:.{digits}f}").rjust(wide)
