"""What the compiler makes of a kernel for a GPU that need not be there.

A kernel is compiled for Hopper as the launch would compile it, and read:
whether it multiplies on the matrix units, whether its numbers stay in
registers, whether its tiles fit. So a change that would make it several
times slower is noticed on any computer with Triton.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from attncourse.fast.kernels import backward, forward
from attncourse.fast.kernels.config import Config

HOPPER = GPUTarget("cuda", 90, 32)
SHARED_BYTES = 227 * 1024  # what a program may have of it
REGISTERS = 65536  # of a multiprocessor, for all threads of a program
MOST_REGISTERS = 255  # that an instruction can name
KERNELS = {
    "forward": forward.attend,
    "inner_products": backward.inner_products,
    "query_gradients": backward.query_gradients,
    "key_gradients": backward.key_gradients,
}
OF_KEYS = ("k_block", "v_block", "dk_block", "dv_block")
POINTERS = ("lse", "logs", "inner")


class Case(NamedTuple):
    """What a kernel is compiled for; `dtype` as Triton writes it."""

    width: int
    dtype: str = "bf16"
    causal: bool = False
    windowed: bool = False


@dataclass(frozen=True)
class Report:
    """What a compiled kernel needs, and what it does.

    `overlapped` tells whether exponentials stand between a product of
    matrices and the wait for it; `serialized` whether the assembler gave
    up running products on the side.
    """

    registers: int
    spilled_bytes: int
    shared_bytes: int
    products: int
    overlapped: bool
    serialized: bool

    def broken(self, config: Config) -> list[str]:
        """Return what the kernel breaks of the contract, in words."""
        budget = min(MOST_REGISTERS, REGISTERS // (32 * config.warps))
        rules = {
            "it must multiply on the matrix units (wgmma)": self.products > 0,
            "products must run on the side": not self.serialized,
            f"it must not spill: got {self.spilled_bytes} bytes": (
                self.spilled_bytes == 0
            ),
            f"registers must be at most {budget}: got {self.registers}": (
                self.registers <= budget
            ),
            f"shared memory must be at most {SHARED_BYTES} bytes: "
            f"got {self.shared_bytes}": self.shared_bytes <= SHARED_BYTES,
        }
        return [rule for rule, holds in rules.items() if not holds]


def compile_for_hopper(kernel: str, config: Config, case: Case) -> Report:
    """Return what the compiler makes of a kernel, without a GPU.

    Source: NVIDIA, "PTX ISA", section "Asynchronous warpgroup level matrix
    instructions"; limits from the CUDA programming guide, "Compute
    capabilities", 9.0.
    """
    function = KERNELS[kernel]
    constants = {
        "ROWS": config.rows,
        "COLUMNS": config.columns,
        "DIM": case.width,
        "VALUE_DIM": case.width,
        "CAUSAL": case.causal,
        "WINDOW": case.windowed,
        "PRECISION": "ieee",
        "SPECIALIZE": config.specialize,
    }
    names = function.arg_names
    source = ASTSource(
        function,
        {name: _type(name, config, case) for name in names},
        {name: constants[name] for name in names if name.isupper()},
        {
            (place,): [["tt.divisibility", 16]]
            for place, name in enumerate(names)
            if name in POINTERS
        },
    )
    compiled = triton.compile(
        source,
        target=HOPPER,
        options={"num_warps": config.warps, "num_stages": config.stages},
    )
    return _report(compiled)


def _type(name: str, config: Config, case: Case) -> str:
    """Return the type of an argument as Triton writes it."""
    if name.isupper():
        return "constexpr"
    if name.endswith("_block"):
        rows = config.columns if name in OF_KEYS else config.rows
        return f"tensordesc<{case.dtype}[1, 1, {rows}, {case.width}]>"
    if name in POINTERS:
        return "*fp32"
    return "fp32" if name in ("scale", "factor") else "i32"


def _report(compiled) -> Report:
    ptx = compiled.asm["ptx"]
    log = _assembler_log(ptx)
    found = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill", log)
    registers = re.search(r"Used (\d+) registers", log)
    if found is None or registers is None:
        raise RuntimeError(f"the assembler's report was not understood: {log}")
    return Report(
        registers=int(registers[1]),
        spilled_bytes=int(found[1]) + int(found[2]),
        shared_bytes=compiled.metadata.shared,
        products=ptx.count("wgmma.mma_async"),
        overlapped=_overlapped(ptx),
        serialized="are serialized" in log,
    )


def _assembler_log(ptx: str) -> str:
    """Return what ptxas says of its work; the one that Triton brings."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kernel.ptx")
        file.write_text(ptx, encoding="utf-8")
        done = subprocess.run(
            [
                triton.knobs.nvidia.ptxas.path,
                *("-v", "--gpu-name=sm_90a"),
                *("-o", str(file.with_suffix(".cubin")), str(file)),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout + done.stderr


def _overlapped(ptx: str) -> bool:
    """Tell if exponentials are computed while a product is under way."""
    under_way = re.findall(
        r"wgmma\.commit_group(.*?)wgmma\.wait_group", ptx, re.DOTALL
    )
    return any("ex2.approx" in between for between in under_way)
