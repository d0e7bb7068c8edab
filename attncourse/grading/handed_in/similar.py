"""Find answers that are built alike, weighed against the whole class.

Compared is the structure of the code: names, numbers, comments and layout
are gone. What was given, what the instructor's own solution has, and what
many in the class wrote says nothing; what two share and few others have is
worth a look. It says "similar", never "copied".
"""

from __future__ import annotations

import ast
import itertools
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from attncourse.grading.classdata import Similar
from attncourse.grading.model import Plan, SourceCell
from attncourse.grading.notebooks.syntax import tree

# So many nodes of the syntax tree in a row make a piece.
NODES = 12
# Answers with fewer pieces of their own are too short to tell anything.
LEAST_PIECES = 40
LEAST_SHARE = 0.5
# So many pieces that nobody else has, or more that few have, must be shared.
LEAST_EVIDENCE = 15.0
# A piece that more answers have leads to no pair by itself.
MOST_TOGETHER = 40
MOST_PAIRS = 500
SKIPPED = ("annotation", "returns", "type_comment", "ctx")

Pieces = frozenset[int]


def pairs(
    plan: Plan, answers: Mapping[str, Mapping[str, str]]
) -> list[Similar]:
    """Return pairs of students with similar answers, the closest first.

    Parameters
    ----------
    answers : for each student, the source of each answer by its grade_id.
    """
    found: list[Similar] = []
    for cell in plan.cells:
        name = cell.grade_id or ""
        if cell.kind in ("answer", "written") and cell.cell_type == "code":
            written = {
                student: own[name]
                for student, own in answers.items()
                if name in own
            }
            found += _question(cell, written)
    found.sort(key=lambda pair: (-pair.share, pair.first, pair.second))
    return found[:MOST_PAIRS]


def _question(cell: SourceCell, written: Mapping[str, str]) -> list[Similar]:
    """Return the similar answers to one question."""
    common = pieces(cell.source) | pieces(cell.visible)
    own = {}
    for student, source in sorted(written.items()):
        found = pieces(source)
        if len(found - common) >= LEAST_PIECES:
            own[student] = found
    held = Counter(itertools.chain.from_iterable(own.values()))
    weights = {
        piece: 0.0 if piece in common else _weight(count, len(own))
        for piece, count in held.items()
    }
    return [
        Similar(
            first=first,
            second=second,
            question=str(cell.grade_id),
            share=round(share, 3),
            says=f"of what is unusual in the two, they share {share:.0%}",
        )
        for first, second in _candidates(own, weights, held)
        if (share := _share(own[first], own[second], weights)) >= LEAST_SHARE
    ]


def _weight(count: int, students: int) -> float:
    """Return what a piece tells: 1 if two have it, 0 if all do."""
    if students <= 2:
        return 1.0
    return min(1.0, math.log(students / count) / math.log(students / 2))


def _share(one: Pieces, other: Pieces, weights: Mapping[int, float]) -> float:
    """Return which part of what is rare in two answers is in both."""
    both = sum(weights[piece] for piece in one & other)
    if both < LEAST_EVIDENCE:
        return 0.0
    return both / sum(weights[piece] for piece in one | other)


def _candidates(
    own: Mapping[str, Pieces],
    weights: Mapping[int, float],
    held: Mapping[int, int],
) -> Iterator[tuple[str, str]]:
    """Yield the pairs that share enough rare pieces to be compared.

    Found by an index of the pieces, never by trying all pairs. Answers
    with the very same pieces are compared with the first of them only.
    """
    groups: dict[Pieces, list[str]] = defaultdict(list)
    for student, found in own.items():
        groups[found].append(student)
    for same in groups.values():
        yield from ((same[0], other) for other in same[1:])
    index: dict[int, list[str]] = defaultdict(list)
    for found, same in groups.items():
        for piece in found:
            if held[piece] > 1 and weights[piece] > 0:
                index[piece].append(same[0])
    shared: Counter[tuple[str, str]] = Counter()
    for holders in index.values():
        if 1 < len(holders) <= MOST_TOGETHER:
            shared.update(itertools.combinations(holders, 2))
    for (first, second), count in shared.items():
        if count >= LEAST_EVIDENCE / 2:
            yield first, second


def pieces(source: str) -> Pieces:
    r"""Return the pieces of a cell's structure, as numbers.

    Examples
    --------
    >>> one = pieces("def f(x):\n    # Sum.\n    return sum(i*i for i in x)")
    >>> two = pieces("def g(y): return sum(k * k for k in y)")
    >>> one == two, len(one)
    (True, 4)
    """
    module = tree(source)
    if module is None:
        return frozenset()
    kinds = list(_kinds(module))
    return frozenset(
        hash(tuple(kinds[at : at + NODES]))
        for at in range(len(kinds) - NODES + 1)
    )


def _kinds(module: ast.Module) -> Iterator[int]:
    """Yield a number for each node, from top to bottom.

    Python's own hash of a text differs from run to run.
    """
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        word = type(node).__name__
        if isinstance(node, ast.Attribute):
            word = f".{node.attr}"
        elif isinstance(node, ast.Constant):
            word = type(node.value).__name__
        yield zlib.crc32(word.encode("utf-8", "replace"))
        inner = [
            child
            for name, value in ast.iter_fields(node)
            if name not in SKIPPED
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST)
        ]
        waiting.extend(reversed(inner))
