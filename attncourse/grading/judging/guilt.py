"""Cells that ended their process."""

from __future__ import annotations

from dataclasses import dataclass

from attncourse.grading.sandbox.replies import Lost


@dataclass
class Guilt:
    """A cell that ended its process: how, and how often it was tried."""

    verdict: Lost
    says: str
    tries: int = 1
