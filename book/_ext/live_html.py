"""How an exercise becomes HTML; every other format gets its contents."""

from __future__ import annotations

import json
from html import escape

from docutils import nodes
from live_questions import exercise

from attncourse.checking import Question
from attncourse.questions import ids


class live_exercise(nodes.General, nodes.Element):
    """A question, its stub, its hints and the way to its notebook."""


class live_overview(nodes.General, nodes.Element):
    """Lists of exercises with a mark for the state of each."""


class fold(nodes.General, nodes.Element):
    """Something to open, with a line that says what it is."""


def open_exercise(self, node) -> None:
    """Begin the exercise: its title, a place for its mark, its facts."""
    asked = exercise(node["question"])
    question = asked.question
    level = min(self.section_level + 1, 6)
    facts = " \u00b7 ".join(map(escape, asked.meta))
    self.body.append(
        f'<live-exercise id="{asked.anchor}" question="{question.id}" '
        f'class="live-exercise">'
        f'<section aria-labelledby="{asked.anchor}-title">'
        f'<h{level} class="live-title" id="{asked.anchor}-title">'
        f'<span class="live-kicker">Exercise</span> '
        f"{escape(question.title)}</h{level}>"
        f'<p class="live-meta">{facts}</p>\n'
    )


def close_exercise(self, node) -> None:
    """End the exercise with what its script must know."""
    told = facts_of(exercise(node["question"]), self.builder)
    self.body.append(f"{as_script(told)}</section></live-exercise>\n")


def as_script(told) -> str:
    """Return data for a script, which no browser takes for markup."""
    text = json.dumps(told).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>\n'


def facts_of(asked, builder) -> dict:
    """Return what the script must know of an exercise."""
    question = asked.question
    return {
        "id": question.id,
        "unit": question.unit,
        "kind": question.kind,
        "title": question.title,
        "function": question.function_name,
        "points": question.points,
        "cell": asked.cell,
        "version": asked.version,
        "stub": asked.stub,
        "scratch": asked.before or asked.tried,
        "first": bool(asked.before),
        "places": places_of(question, builder),
    }


def places_of(question, builder) -> dict[str, dict[str, str]]:
    """Return where each section that cures a mistake stands.

    Keys are labels of sections and numbers of the documents' errors.
    """
    labels = set()
    if isinstance(question, Question):
        for each in question.misconceptions:
            labels |= {each.section, (each.error or "").lower()}
    known = builder.env.domains["std"]
    found = {}
    for label in sorted(labels):
        title = ""
        if label in known.labels:
            page, target, title = known.labels[label]
        elif label in known.anonlabels:
            page, target = known.anonlabels[label]
        else:
            continue
        uri = builder.get_relative_uri(builder.current_docname, page)
        words = label.partition("-")[2].replace("-", " ")
        said = title or words or label.upper()
        if page != builder.current_docname:
            said += f" ({builder.env.titles[page].astext()})"
        found[label] = {"href": f"{uri}#{target}", "title": said}
    return found


def open_fold(self, node) -> None:
    """Begin something to open."""
    name = "live-hint" if node.get("hint") else "live-try"
    self.body.append(
        f'<details class="{name}"><summary>{escape(node["summary"])}'
        "</summary>\n"
    )


def close_fold(self, node) -> None:
    """End something to open."""
    self.body.append("</details>\n")


def open_overview(self, node) -> None:
    """Begin the lists."""
    self.body.append('<live-progress class="live-progress">\n')


def close_overview(self, node) -> None:
    """End the lists with what their script must know."""
    told = [
        {
            "unit": unit,
            "box": f"live-unit-{unit}",
            "exercises": [line_of(exercise(name)) for name in ids(unit)],
        }
        for unit in node["units"]
    ]
    self.body.append(f"{as_script(told)}</live-progress>\n")


def line_of(asked) -> dict:
    """Return what a list must know of an exercise."""
    return {
        "id": asked.question.id,
        "title": asked.question.title,
        "minutes": asked.question.minutes,
        "mark": asked.mark,
        "cell": asked.cell,
        "stub": asked.stub,
    }


def through(self, node) -> None:
    """Write nothing: what is inside speaks for itself."""


def writers(opening, closing) -> dict:
    """Return a node's writers for every format."""
    others = ("latex", "text", "man", "texinfo")
    return {"html": (opening, closing)} | dict.fromkeys(
        others, (through, through)
    )


NODES = {
    live_exercise: writers(open_exercise, close_exercise),
    live_overview: writers(open_overview, close_overview),
    fold: writers(open_fold, close_fold),
}
