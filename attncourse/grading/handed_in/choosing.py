"""Tell which of the files that were handed in is the notebook meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attncourse.grading.handed_in.archives import shown, unpack
from attncourse.grading.handed_in.found import Found, Submitted
from attncourse.grading.model import GradingError, Plan

# What browsers and mail programs make of `.ipynb`.
ENDINGS = (".ipynb.json", ".ipynb.txt", ".json")


def choose(
    files: Mapping[str, bytes],
    notebook: str,
    others: Iterable[str],
    plan: Plan | None,
    notes: list[str],
) -> str | None:
    """Return the path of the notebook, or None if there is none.

    The exact name goes before the name in a nested folder, before a name
    that holds it, before any other notebook; among equals decides what the
    file holds of the plan, then the shallower and shorter path.
    """
    ranked: dict[int, list[str]] = {}
    strangers = {f"{name}.ipynb".lower() for name in others}
    for path in files:
        rank = _rank(path, notebook)
        if rank is not None and (
            rank < 2 or path.rpartition("/")[2].lower() not in strangers
        ):
            ranked.setdefault(rank, []).append(path)
    if not ranked:
        return None
    best = sorted(
        ranked[min(ranked)],
        key=lambda path: (
            -_known(files[path], plan),
            path.count("/"),
            len(path),
            path,
        ),
    )
    if len(best) > 1:
        rest = ", ".join(shown(path) for path in best[1:4])
        notes.append(f"{shown(best[0])} was graded, and not {rest}")
    return best[0]


def _rank(path: str, notebook: str) -> int | None:
    if path == f"{notebook}.ipynb":
        return 0
    name = path.rpartition("/")[2].lower()
    notebook = notebook.lower()
    if name == f"{notebook}.ipynb":
        return 1
    if name.endswith(".ipynb"):
        return 2 if notebook in name else 3
    if name.startswith(notebook) and name.endswith(ENDINGS):
        return 4
    return None


def _known(data: bytes, plan: Plan | None) -> int:
    """Return how many of the plan's names stand in a file."""
    if plan is None:
        return 0
    return sum(
        f'"{cell.grade_id}"'.encode() in data
        for cell in plan.cells
        if cell.grade_id
    )


def submitted(
    student: str,
    found: Found,
    notebook: str,
    others: tuple[str, ...],
    plan: Plan | None,
) -> Submitted:
    """Pick the notebook among the files, or in an archive among them."""
    path = choose(found.files, notebook, others, plan, found.notes)
    packed = [name for name in found.files if name.lower().endswith(".zip")]
    if path is None and packed:
        for name in packed[:5]:
            _unpacked(found, name)
        path = choose(found.files, notebook, others, plan, found.notes)
    if path is None:
        return Submitted(
            student=student,
            notes=tuple(found.notes),
            problem=f"there must be a notebook {notebook}.ipynb: got "
            + ("; ".join(found.notes[:3]) or "none"),
        )
    if path != f"{notebook}.ipynb":
        found.notes.append(f"the notebook was found as {shown(path)}")
    home = path[: path.rfind("/") + 1]
    return Submitted(
        student=student,
        path=path,
        data=found.files[path],
        files={
            name[len(home) :]: content
            for name, content in found.files.items()
            if name.startswith(home) and name != path
        },
        notes=tuple(found.notes),
    )


def _unpacked(found: Found, name: str) -> None:
    """Add the files of an archive, as if it were a folder."""
    try:
        files, notes = unpack(found.files[name], most_bytes=found.left)
    except GradingError as error:
        found.note(name, str(error))
        return
    found.notes += notes
    found.left -= sum(map(len, files.values()))
    found.files |= {f"{name}/{key}": data for key, data in files.items()}
