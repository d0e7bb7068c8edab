"""What a student added to a cell that was not theirs to change."""

from __future__ import annotations

from attncourse.grading.notebooks.definitions import definitions
from attncourse.grading.notebooks.syntax import tree

LONGEST = 10_000  # characters of a cell that is searched


def added(own: str, released: str) -> str:
    r"""Return the definitions and imports that the released cell has not.

    Examples
    --------
    >>> added("import math\nx = f(2)\nassert x", "x = f(2)\nassert x")
    'import math'
    """
    if len(own) > LONGEST:
        return ""
    known = set(_statements(released))
    new = [text for text in _statements(own) if text not in known]
    return definitions("\n".join(new)).strip("\n")


def _statements(source: str) -> list[str]:
    """Return a cell's statements as they are written."""
    module, lines = tree(source), source.split("\n")
    found = []
    for node in module.body if module else ():
        above = [each.lineno for each in getattr(node, "decorator_list", ())]
        first = min([node.lineno, *above])
        found.append("\n".join(lines[first - 1 : node.end_lineno]).rstrip())
    return found
