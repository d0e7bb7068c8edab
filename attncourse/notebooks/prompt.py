"""What a question's prompt says besides the author's text."""

from __future__ import annotations

from html import escape

from attncourse.checking.question import AnyQuestion, Prediction

KINDS = {
    "implement": "write a function",
    "repair": "find the bug and repair it",
    "predict": "predict before you look",
    "audit": "write a test",
}


def number(points: float) -> str:
    """Return points as people write them.

    Examples
    --------
    >>> number(4.0), number(0.5), number(1)
    ('4', '0.5', '1')
    """
    return f"{points:g}"


def dots(level: int) -> str:
    """Return a level of five as dots and, for those who listen, words.

    Examples
    --------
    >>> dots(2)
    '●●○○○ (2 of 5)'
    """
    return f"{'●' * level}{'○' * (5 - level)} ({level} of 5)"


def header(question: AnyQuestion, text: str) -> str:
    """Return the title, unless `text` brings one, and the facts."""
    points = number(question.points)
    facts = " · ".join(
        (
            KINDS[question.kind],
            f"{points} point{'' if points == '1' else 's'}",
            f"about {question.minutes} minutes",
            f"difficulty {dots(question.difficulty)}",
            f"importance {dots(question.importance)}",
        )
    )
    if text.lstrip().startswith("#"):
        title, _, rest = text.lstrip().partition("\n")
    else:
        title, rest = f"## {question.title}", text
    return f"{title.strip()}\n\n*{facts}*\n\n{rest.strip()}"


def prompt(question: AnyQuestion, text: str) -> str:
    """Return the whole prompt: header, text, statements, folded hints.

    The statements of a prediction are listed unless the text names all
    of them.
    """
    parts = [header(question, text)]
    if isinstance(question, Prediction) and not all(
        name in text for name in question.statements
    ):
        parts.append(_statements(question))
    parts += [
        f"<details><summary>Hint {index} of {len(question.hints)}</summary>"
        f"\n\n{hint}\n\n</details>"
        for index, hint in enumerate(question.hints, 1)
    ]
    return "\n\n".join(part.strip() for part in parts)


def _statements(question: Prediction) -> str:
    lines = []
    for name, statement in question.statements.items():
        options = " / ".join(f'`"{option}"`' for option in statement.options)
        lines.append(f"- **{escape(name)}**: {statement.text}  \n  {options}")
    return "\n".join(lines)


def written_header(points: float) -> str:
    """Return the line above a written question.

    Examples
    --------
    >>> written_header(2)
    '*written answer · 2 points · read and graded by a person*'
    """
    worth = number(points)
    counted = {"0": "counts no points", "1": "1 point"}.get(
        worth, f"{worth} points"
    )
    return f"*written answer · {counted} · read and graded by a person*"
