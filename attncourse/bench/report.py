"""Run the cases, say how far it is, and write down what was found."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from attncourse import __version__
from attncourse.bench import cpu, picture

METHOD = (
    "Each round times both ways one after the other; `ratio` is the median "
    "of the rounds' ratios. process_time counts this process only. "
    "float32, batch 1, 8 heads, head width 64."
)
# Of this many processors' work by others, a machine counts as busy.
BUSY = 0.5


def run(
    lengths: Sequence[int],
    *,
    rounds: int,
    json_file: Path | None = None,
    picture_file: Path | None = None,
    command: str = "",
) -> int:
    """Measure, print a table, write JSON and a picture if asked; return 0."""
    require_files(json_file, picture_file)
    load = load_average()
    chosen = list(cpu.cases(lengths))
    rows = []
    for number, case in enumerate(chosen, 1):
        place = f"[{number}/{len(chosen)}] {case.name}, {case.length}"
        print(place, file=sys.stderr, flush=True)
        rows.append(cpu.measure(case, rounds=rounds))
    found = {
        **circumstances(load, command),
        "rows": rows,
        "memory": cpu.extra_memory(max(lengths)),
    }
    print(table(found))
    if json_file is not None:
        text = json.dumps(found, indent=1, ensure_ascii=False)
        json_file.write_text(text + "\n", encoding="utf-8")
        print(f"written: {json_file}")
    if picture_file is not None:
        picture.draw(found, picture_file)
        print(f"written: {picture_file}")
    return 0


def require_files(json_file: Path | None, picture_file: Path | None) -> None:
    """Require that both can be written, before minutes go by."""
    for file in (json_file, picture_file):
        if file is not None and not file.resolve().parent.is_dir():
            raise FileNotFoundError(
                f"the folder must exist: got {file.resolve().parent}"
            )
    if picture_file is not None:
        picture.require_kind(picture_file)


def circumstances(load: float | None, command: str) -> dict:
    """Return where, when, how and with what it was measured."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        "device": {
            "name": processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "date": now.isoformat(timespec="seconds"),
        "command": command,
        "versions": {
            "attncourse": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "load_before": load,
        "busy": load is not None and load > BUSY,
        "method": METHOD,
    }


def load_average() -> float | None:
    """Return the last minute's load, or None where a system keeps none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def table(found: dict) -> str:
    """Return the measurements as text, a row and a bar for each."""
    lines = [
        f"{'':24}{'length':>7}{'ours ms':>10}{'SDPA ms':>10}"
        f"{'ratio':>7}{'goal':>6}  one # is 0.1"
    ]
    for row in found["rows"]:
        goal = row["target"]
        missed = goal is not None and row["ratio"] > goal
        shown = ("-" if goal is None else f"{goal:.2f}").rjust(6)
        lines.append(
            f"{row['name']:24}{row['length']:>7}{row['ours_ms']:>10.2f}"
            f"{row['sdpa_ms']:>10.2f}{row['ratio']:>7.2f}"
            f"{shown}{'!' if missed else ' '} {'#' * round(10 * row['ratio'])}"
        )
        if "beside" in row:
            beside = row["beside"]
            lines.append(f"  against {beside['name']}: {beside['ratio']:.2f}")
    memory = found["memory"]
    ours, theirs, scores = (
        memory[name] / 2**20
        for name in ("ours_bytes", "sdpa_bytes", "scores_bytes")
    )
    lines.append(
        f"extra memory at {memory['length']}, output included: "
        f"{ours:.0f} MiB (SDPA {theirs:.0f}, all scores {scores:.0f})"
    )
    if found["busy"]:
        lines.append(
            "The machine was busy (load "
            f"{found['load_before']:.1f} before): measure again when it is "
            "quiet."
        )
    return "\n".join(lines)
