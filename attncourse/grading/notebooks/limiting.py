"""Limits that a notebook's or a cell's metadata set."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from attncourse.grading.model import GradingError, Limits


def limited(limits: Limits, settings: dict[str, Any], where: str) -> Limits:
    """Return limits in which what metadata say goes before."""
    said = settings.get("limits", {})
    if not isinstance(said, dict):
        raise GradingError(f"{where}: limits must be an object: got {said!r}")
    known: dict[str, type] = {
        each.name: type(getattr(limits, each.name)) for each in fields(Limits)
    }
    for name, value in said.items():
        if name not in known:
            raise GradingError(
                f"{where}: a limit must be one of {', '.join(known)}: got "
                f"{name}"
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise GradingError(
                f"{where}: {name} must be a number: got {value!r}"
            )
        if not 0 < value < float("inf"):
            raise GradingError(
                f"{where}: {name} must be above zero: got {value!r}"
            )
    return replace(
        limits, **{name: known[name](value) for name, value in said.items()}
    )
