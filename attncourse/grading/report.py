"""The class report: a page and a spreadsheet for the instructor."""

from __future__ import annotations

from attncourse.grading.classdata import ClassData, Manual, Row, Similar

__all__ = ["ClassData", "Manual", "Row", "Similar"]
