"""The class report as a page: what needs a person comes first."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean, median

from attncourse.grading.classdata import ClassData, Row
from attncourse.grading.pages import charts
from attncourse.grading.pages import frame as pages
from attncourse.grading.pages.frame import counted, named, number, said
from attncourse.grading.pages.report_advice import advice
from attncourse.grading.pages.report_tables import (
    mistakes,
    questions,
    students,
)
from attncourse.grading.pages.tally import Remark, Tally

SECTIONS = (
    ("look", "What needs you"),
    ("points", "Points"),
    ("questions", "Questions"),
    ("mistakes", "Misconceptions"),
    ("students", "Students"),
    ("how", "How it was graded, and appeals"),
)
STATUSES = {
    "graded": "graded",
    "not graded": "not graded yet",
    "unreadable": "could not be read",
    "nothing handed in": "handed in nothing",
}
# More names than these are folded away.
FEW = 6


def as_html(data: ClassData, tally: Tally) -> str:
    """Return the whole page."""
    drawn = {
        "look": _look(data, tally),
        "points": _points(tally),
        "questions": questions(tally),
        "mistakes": mistakes(tally),
        "students": students(data, tally),
        "how": advice(data, tally),
    }
    sections = "\n".join(
        f'<section id="{key}" aria-labelledby="h-{key}">'
        f'<h2 id="h-{key}">{title}</h2>{drawn[key]}</section>'
        for key, title in SECTIONS
    )
    body = f'{_header(data, tally)}<main id="content">\n{sections}\n</main>'
    return pages.document(
        f"Class report on {data.assignment}", body, wide=True
    )


def _header(data: ClassData, tally: Tally) -> str:
    tiles = [("students", str(len(data.rows)))]
    tiles += [
        (label, str(tally.statuses[status]))
        for status, label in STATUSES.items()
        if tally.statuses[status] or status == "graded"
    ]
    if tally.points:
        of = f" / {number(tally.max_points)}"
        tiles.append(("mean points", number(mean(tally.points)) + of))
        tiles.append(("median points", number(median(tally.points)) + of))
    drawn = "".join(
        f"<div><dt>{label}</dt><dd>{value}</dd></div>"
        for label, value in tiles
    )
    links = "".join(
        f'<li><a href="#{key}">{title}</a></li>' for key, title in SECTIONS
    )
    made = f", {said(data.made)}" if data.made else ""
    return (
        f'<header><p class="eyebrow">Class report{made}</p>'
        f"<h1>{named(data.assignment)}</h1>"
        f'<dl class="tiles">{drawn}</dl>'
        f'<nav aria-label="Sections"><ul class="inline">{links}</ul></nav>'
        "</header>"
    )


def _look(data: ClassData, tally: Tally) -> str:
    parts = [
        _unheld(tally),
        _unread(data),
        _remarks("Flags", tally.flags),
        _similar(data, tally),
        _waiting(data),
        _hard(tally),
        _remarks("Notes on notebooks", tally.notes),
    ]
    parts += [f"<p>{said(note)}</p>" for note in data.notes]
    shown = "".join(filter(None, parts))
    if shown:
        return shown
    if not tally.statuses["graded"]:
        return "<p>Nothing has been handed in and graded yet.</p>"
    return "<p>Nothing: every submission could be graded.</p>"


def _unheld(tally: Tally) -> str:
    levels = tally.isolation.items()
    amount = sum(count for level, count in levels if level[:4] == "none")
    if not amount:
        return ""
    return (
        f"<h3>{counted(amount, 'submission')} ran without isolation</h3>"
        "<p>Nothing held the students' code: it could have read and "
        "changed whatever you can. Trust these grades as far as you trust "
        "the students.</p>"
    )


def _unread(data: ClassData) -> str:
    rows = [row for row in data.rows if row.status == "unreadable"]
    later = [row for row in data.rows if row.status == "not graded"]
    parts = []
    if rows:
        items = "".join(
            f"<li><bdi>{named(row.student)}</bdi>: {said(row.problem)}</li>"
            for row in rows
        )
        listed = f"<ul>{items}</ul>"
        if len(rows) > FEW:
            listed = (
                f"<details><summary>Whose, and why</summary>{listed}</details>"
            )
        parts.append(
            f"<h3>{counted(len(rows), 'submission')} could not be "
            f"read</h3>{listed}"
        )
    if later:
        parts.append(
            f"<h3>{counted(len(later), 'submission')} not graded "
            f"yet</h3><p>{who(row.student for row in later)}</p>"
            "<p>Grade again to go on; nothing that is done is repeated, "
            "and until then nobody gets a zero.</p>"
        )
    return "".join(parts)


def _remarks(title: str, remarks: list[Remark]) -> str:
    if not remarks:
        return ""
    items = "".join(
        f"<li>{said(each.text)}<br>{who(each.students)}</li>"
        for each in remarks[:200]
    )
    more = len(remarks) - 200
    left = f"<p>{counted(more, 'more')} in the table.</p>" if more > 0 else ""
    return f"<h3>{title}</h3><ul>{items}</ul>{left}"


def who(students: Iterable[str]) -> str:
    """Return who they are; more than a few names are folded away."""
    names = [f"<bdi>{named(each)}</bdi>" for each in students]
    listed = ", ".join(names)
    if len(names) <= FEW:
        return f'<span class="muted">{listed}</span>'
    return (
        f"<details><summary>{counted(len(names), 'student')}</summary>"
        f"<p>{listed}</p></details>"
    )


def _similar(data: ClassData, tally: Tally) -> str:
    if not data.similar:
        return ""
    pairs = sorted(data.similar, key=lambda each: -each.share)
    titles = {each.grade_id: each.title for each in tally.questions}
    for cell in data.plan.tests if data.plan else ():
        titles |= dict.fromkeys(cell.answers, titles[cell.grade_id or ""])
    rows = "".join(
        f"<tr><td><bdi>{named(each.first)}</bdi></td>"
        f"<td><bdi>{named(each.second)}</bdi></td>"
        f"<td>{named(titles.get(each.question, each.question))}</td>"
        f'<td class="num">{each.share:.0%}</td>'
        f'<td class="wide">{said(each.says)}</td></tr>'
        for each in pairs[:100]
    )
    return (
        "<h3>Answers that are built alike</h3><p>Alike in structure, names "
        "and layout aside, and weighed against how common that structure "
        "is in this class. Similar is all that it says: short or obvious "
        "answers are alike by themselves. Read both before you ask.</p>"
        '<div class="scroll"><table><thead><tr><th scope="col">one</th>'
        '<th scope="col">other</th><th scope="col">question</th>'
        '<th scope="col" class="num">in common</th>'
        f'<th scope="col">why</th></tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def _waiting(data: ClassData) -> str:
    rows: list[Row] = [row for row, _ in data.graded() if row.waiting]
    if not rows:
        return ""
    amount = sum(row.waiting for row in rows)
    return (
        f"<h3>{counted(amount, 'written answer')} to grade by hand</h3>"
        f"<p>Of {counted(len(rows), 'student')}: open formgrader's manual "
        "grading. Until then their points are too low in this report and "
        "in every export.</p>"
    )


def _hard(tally: Tally) -> str:
    """Name the questions that hardly anybody solved: look at those first."""
    hard = [
        each
        for each in tally.questions
        if len(each.shares) >= 5 and (each.mean or 0.0) < 0.2
    ]
    items = "".join(
        f"<li>{said(each.title)}: {each.verdicts['pass']} of "
        f"{len(each.shares)} right</li>"
        for each in hard
    )
    if not items:
        return ""
    return (
        "<h3>Hardly anybody solved these</h3><p>Look whether the question "
        f"or its test is to blame.</p><ul>{items}</ul>"
    )


def _points(tally: Tally) -> str:
    points = tally.points
    if not points:
        return "<p>Nobody is graded yet, so there are no points to show.</p>"
    most = tally.max_points
    if len(points) == 1:
        return (
            f"<p>One student is graded, with {number(points[0])} of "
            f"{number(most)} points.</p>"
        )
    text = (
        f"<p>{counted(len(points), 'student')}, from {number(points[0])} to "
        f"{number(points[-1])} of {number(most)} points; half of them have "
        f"{number(median(points))} or more. Who is not graded is not in "
        "it.</p>"
    )
    rows = "".join(
        f'<tr><td class="num">{number(edge)}</td>'
        f'<td class="num">{amount}</td></tr>'
        for edge, amount in charts.bins(points, most)
    )
    return (
        f'{text}<div class="scroll">{charts.histogram(points, most)}</div>'
        "<details><summary>The same as a table</summary><table>"
        '<thead><tr><th scope="col" class="num">from</th>'
        '<th scope="col" class="num">students</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )
