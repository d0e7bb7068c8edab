"""What a page must know of a question: read from the released notebook."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from attncourse import questions

ROOT = Path(__file__).resolve().parents[2]
HINT = re.compile(r"<details>.*?</details>\s*", re.DOTALL)
TITLE = re.compile(r"\A\s*##+ .*\n")
META = re.compile(r"^\*(?P<meta>[^*\n]+ · [^*\n]+)\*\s*$", re.MULTILINE)
DOTS = re.compile(r"[●○]+ *\((.+?)\)")


@dataclass(frozen=True)
class Exercise:
    """A question as its notebook asks it.

    `before` is code that is given above the answer, `tried` code that
    tries the answer out below it, `words` what stands between the two.
    """

    question: questions.AnyQuestion
    cell: str
    prompt: str
    meta: tuple[str, ...]
    stub: str
    before: str = ""
    tried: str = ""
    words: str = ""
    runs_here: bool = True

    @property
    def version(self) -> str:
        """A short hash of the stub: a reader's text belongs to one."""
        return hashlib.sha256(self.stub.encode()).hexdigest()[:12]

    @property
    def anchor(self) -> str:
        """The id of the exercise in its page."""
        return anchor(self.question.id)

    @property
    def mark(self) -> str:
        """The id of the exercise's line in a list of them."""
        return anchor(self.question.id).replace("live-", "live-mark-", 1)


def anchor(question_id: str) -> str:
    """Return the id that an exercise has in its page.

    Examples
    --------
    >>> anchor("lookup.soft_read")
    'live-lookup-soft-read'
    """
    return "live-" + question_id.replace(".", "-").replace("_", "-")


def notebook_of(unit: str) -> Path:
    """Return the file of a unit's released notebook."""
    return ROOT / "exercises" / questions.stem(unit) / f"{unit}.ipynb"


def exercise(question_id: str, notebook: Path | None = None) -> Exercise:
    """Return a question as its notebook asks it.

    Raises
    ------
    ValueError
        If there is no such question, or its notebook does not ask it.
    """
    unit, _, name = question_id.partition(".")
    question = questions.load(question_id)
    file = notebook or notebook_of(unit)
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    ids = [_grade_id(cell) for cell in cells]
    if name not in ids or f"{name}-prompt" not in ids:
        raise ValueError(
            f"{file.name} must ask {question_id}: run `attncourse sync`"
        )
    here = ids.index(name)
    prompt = _source(cells[ids.index(f"{name}-prompt")])
    stub = _source(cells[here])
    before = _code(cells[ids.index(f"{name}-prompt") + 1 : here])
    words, tried = _afterwards(cells[here + 1 :])
    setup = _source(cells[ids.index("setup")]) if "setup" in ids else ""
    return Exercise(
        question=question,
        cell=cells[here]["id"],
        prompt=_asked(prompt),
        meta=_meta(prompt),
        stub=stub,
        before=before,
        tried=tried,
        words=words,
        runs_here="torch" not in setup + stub + before,
    )


def _grade_id(cell: dict) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def _source(cell: dict) -> str:
    return "".join(cell["source"]).strip("\n")


def _code(cells: list[dict]) -> str:
    return "\n\n\n".join(_source(c) for c in cells if c["cell_type"] == "code")


def _afterwards(cells: list[dict]) -> tuple[str, str]:
    """Return the words and the code up to the next question's prompt."""
    words, code = [], []
    for cell in cells:
        name = _grade_id(cell)
        if name.endswith(("-prompt", "-answer")):
            break
        if cell["cell_type"] == "markdown":
            words.append(_source(cell))
        elif not name.endswith("-test"):
            code.append(_source(cell))
    return "\n\n".join(words), "\n\n\n".join(code)


def _asked(prompt: str) -> str:
    """Return a prompt without its title, its line of facts and its hints."""
    return META.sub("", HINT.sub("", TITLE.sub("", prompt)), count=1).strip()


def _meta(prompt: str) -> tuple[str, ...]:
    found = META.search(prompt)
    if not found:
        return ()
    # How important it is says the notebook.
    return tuple(DOTS.sub(r"\1", found["meta"]).split(" · ")[:4])
