"""The report's tables: questions, misconceptions, students."""

from __future__ import annotations

from html import escape

from attncourse.grading.classdata import ClassData, Row
from attncourse.grading.model import VERDICTS, Judged
from attncourse.grading.pages import charts, safe, told
from attncourse.grading.pages.frame import (
    LABELS,
    MARKS,
    bar,
    coded,
    counted,
    named,
    number,
    said,
    seconds,
)
from attncourse.grading.pages.tally import Asked, Mistake, Tally


def questions(tally: Tally) -> str:
    """Return how each question went, and which of its parts failed."""
    if not tally.questions:
        return "<p>There are no autograded questions.</p>"
    rows = "".join(
        _question(count, each) for count, each in enumerate(tally.questions, 1)
    )
    return (
        f'{charts.legend()}<div class="scroll"><table><thead><tr>'
        '<th scope="col">question</th><th scope="col" class="num">points, '
        'mean</th><th scope="col">students</th><th scope="col" '
        'class="num">time, median</th><th scope="col" class="num">longest'
        f"</th></tr></thead><tbody>{rows}</tbody></table></div>"
        f"{_verdicts(tally.questions)}{_stages(tally.questions)}"
    )


def _question(count: int, each: Asked) -> str:
    share = each.mean
    got = (
        "\N{EN DASH}"
        if share is None
        else f"{number(share * each.max_points)} / "
        f'{number(each.max_points)}<br><span class="muted">{share:.0%}'
        "</span>"
    )
    right = each.verdicts["pass"]
    text = f"{right} of {len(each.shares)} all right" if each.shares else ""
    if each.substituted:
        text += f"; {each.substituted} on the instructor's earlier answer"
    times = (
        (seconds(each.usual_seconds), seconds(max(each.seconds)))
        if each.seconds
        else ("\N{EN DASH}",) * 2
    )
    return (
        f'<tr><th scope="row">{count}. {said(each.title)}</th>'
        f'<td class="num">{got}</td><td>{charts.verdict_bar(each.verdicts)}'
        f'<span class="small">{text}</span></td>'
        f'<td class="num">{times[0]}</td><td class="num">{times[1]}</td></tr>'
    )


def _verdicts(asked: list[Asked]) -> str:
    heads = "".join(
        f'<th scope="col" class="num">{LABELS[each]}</th>' for each in VERDICTS
    )
    rows = "".join(
        f'<tr><th scope="row">{said(each.title)}</th>'
        + "".join(
            f'<td class="num">{each.verdicts[name] or ""}</td>'
            for name in VERDICTS
        )
        + "</tr>"
        for each in asked
    )
    return (
        "<details><summary>All verdicts, counted</summary>"
        '<div class="scroll"><table><thead><tr><th scope="col">question</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _stages(asked: list[Asked]) -> str:
    rows = "".join(
        f"<tr><td>{said(each.title)}</td><td><strong>{said(name)}</strong>: "
        f'{coded(must)}</td><td class="num">{amount}</td></tr>'
        for each in asked
        for (name, must), amount in each.stages.most_common()
    )
    if not rows:
        return ""
    return (
        "<details><summary>What did not hold, and in how many answers"
        '</summary><div class="scroll"><table><thead><tr><th scope="col">'
        'question</th><th scope="col">it must hold that</th><th scope="col" '
        'class="num">fails in</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def mistakes(tally: Tally) -> str:
    """Return which misconceptions how many students hold."""
    graded = tally.statuses["graded"]
    if not tally.mistakes:
        return (
            "<p>No answer was recognised as a known mistake.</p>"
            if graded
            else "<p>Nobody is graded yet.</p>"
        )
    rows = "".join(_mistake(each, graded) for each in tally.mistakes)
    return (
        "<p>An answer that fails is compared with known mistakes; these "
        "were recognised. What many hold is worth a word in class.</p>"
        '<div class="scroll"><table><thead><tr><th scope="col" class="num">'
        'students</th><th scope="col">what they hold</th><th scope="col">'
        f"question</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _mistake(each: Mistake, graded: int) -> str:
    amount = len(each.students)
    share = amount / max(graded, 1)
    names = ", ".join(f"<bdi>{named(who)}</bdi>" for who in each.students)
    where = f"<br>Read: {said(each.where)}." if each.where else ""
    drawn = bar([("fill", share)], f"{share:.0%} of the class")
    return (
        f'<tr><td class="num"><strong>{amount}</strong> '
        f'<span class="muted">{share:.0%}</span>{drawn}</td>'
        f'<td class="wide">{coded(each.says or each.name)}{where}'
        f"<details><summary>Who</summary><p>{names}</p></details></td>"
        f"<td>{said(each.question)}</td></tr>"
    )


def students(data: ClassData, tally: Tally) -> str:
    """Return a row for everybody; what is not graded has no number."""
    if not data.rows:
        return "<p>There is nobody in this class yet.</p>"
    heads = "".join(
        f'<th scope="col" class="num"><abbr title="{said(each.title)}">'
        f"{count}</abbr></th>"
        for count, each in enumerate(tally.questions, 1)
    )
    named_too = any(row.name for row in data.rows)
    rows = "".join(
        _student(row, tally, named_too)
        for row in sorted(data.rows, key=lambda row: row.student.casefold())
    )
    listed = "; ".join(
        f"{count}: {each.title}"
        for count, each in enumerate(tally.questions, 1)
    )
    marks = ", ".join(
        f"{MARKS[name]} {LABELS[name].lower()}"
        for name in ("pass", "partial", "fail", "missing")
    )
    name = '<th scope="col">name</th>' if named_too else ""
    return (
        f'<p class="small muted">{said(listed)}. {marks}, ! stopped.</p>'
        '<div class="scroll"><table><thead><tr><th scope="col">student</th>'
        f'{name}<th scope="col" class="num">points</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _student(row: Row, tally: Tally, named_too: bool) -> str:
    student = f"<bdi>{named(row.student)}</bdi>"
    link = safe.address(row.feedback)
    if link:
        student = f'<a href="{escape(link)}">{student}</a>'
    about = f'<tr><th scope="row">{student}</th>'
    if named_too:
        name = named(row.name) if row.name else ""
        about += f"<td><bdi>{name}</bdi></td>"
    if row.outcome is None or row.points is None:
        why = f": {said(row.problem)}" if row.problem else ""
        wide = len(tally.questions) + 1
        return (
            f'{about}<td colspan="{wide}" class="muted">'
            f"{row.status}{why}</td></tr>"
        )
    known = {each.grade_id: each for each in row.outcome.questions}
    cells = "".join(
        _cell(known.get(each.grade_id)) for each in tally.questions
    )
    more = (
        '<br><span class="small muted">'
        f"+ {counted(row.waiting, 'answer')} to grade</span>"
        if row.waiting
        else ""
    )
    return (
        f'{about}<td class="num">{number(row.points)}{more}</td>{cells}</tr>'
    )


def _cell(judged: Judged | None) -> str:
    if judged is None:
        return "<td></td>"
    verdict = judged.verdict
    names = [m.name for m in told.read(judged).misconceptions]
    title = LABELS[verdict] + (f": {', '.join(names)}" if names else "")
    return (
        f'<td class="num {verdict}"><span class="mark" role="img" '
        f'title="{said(title)}" aria-label="{said(title)}">{MARKS[verdict]}'
        f"</span>\N{NO-BREAK SPACE}{number(judged.points)}</td>"
    )
