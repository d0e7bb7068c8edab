"""How a student's process ended, and what is said of it."""

from __future__ import annotations

import signal

from attncourse.grading.model import Limits
from attncourse.grading.sandbox.replies import Lost, Usage


def too_slow(limits: Limits) -> str:
    """Return what to say of what took too long."""
    return (
        f"It took longer than it may: {limits.cpu_s:g} seconds of computing,"
        f" or {limits.wall_s:g} seconds in all."
    )


def explain(usage: Usage, limits: Limits) -> tuple[Lost, str]:
    """Return the verdict on a process that ended by itself."""
    if usage.signal is None:
        return "crashed", "It ended its own process."
    if usage.signal == signal.SIGXCPU or (
        usage.signal == signal.SIGKILL and usage.cpu_s >= 50 * limits.cpu_s
    ):
        return "timeout", too_slow(limits)
    if usage.signal == signal.SIGKILL:
        return (
            "out-of-memory",
            "The system ended its process, most likely for want of memory.",
        )
    name = signal.strsignal(usage.signal) or f"signal {usage.signal}"
    return "crashed", f"Its process crashed ({name.lower()})."
