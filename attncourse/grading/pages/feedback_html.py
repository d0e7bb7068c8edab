"""Feedback as a page that needs no script and no network."""

from __future__ import annotations

from attncourse.grading.classdata import Manual
from attncourse.grading.pages import frame as pages
from attncourse.grading.pages import listing, markup, outputs
from attncourse.grading.pages.cards import Card, Cell, Feedback, Written
from attncourse.grading.pages.frame import (
    LABELS,
    MARKS,
    bar,
    coded,
    counted,
    named,
    number,
    said,
    worth,
)
from attncourse.grading.pages.sentences import (
    HOW,
    MEANINGS,
    given_by_hand,
    parts_heading,
    substituted,
    summary,
    where_it_stopped,
)


def as_html(told: Feedback) -> str:
    """Return the page, most useful things first."""
    budget = outputs.Budget()
    body = [
        _header(told),
        '<main id="content">',
        _overview(told),
        *(_card(n, card, budget) for n, card in enumerate(told.cards, 1)),
        _written(told.written),
        _rest(told.rest, budget),
        "</main>",
        _footer(told),
    ]
    title = f"Feedback on {told.outcome.assignment}"
    return pages.document(title, "\n".join(filter(None, body)))


def _header(told: Feedback) -> str:
    outcome, most = told.outcome, told.max_points
    share = told.points / most if most else 0.0
    score = f"{number(told.points)} of {number(most)} points"
    drawn = bar([("fill", share)], score)
    return (
        '<header><p class="eyebrow">Feedback for '
        f"<bdi>{named(outcome.student)}</bdi></p>"
        f"<h1>{named(outcome.assignment)}</h1>"
        f'<p class="score">{score}</p>{drawn}'
        f"<p>{said(summary(told))}</p>{_start(told)}</header>"
    )


def _start(told: Feedback) -> str:
    first = told.first_open
    if first is None or len(told.cards) < 2:
        return ""
    title = told.cards[first - 1].title
    return f'<p>Look first at <a href="#q{first}">{said(title)}</a>.</p>'


def _overview(told: Feedback) -> str:
    rows = [
        f'<tr><th scope="row"><a href="#q{n}">{said(card.title)}</a></th>'
        f'<td class="{card.judged.verdict}">{_mark(card.judged.verdict)} '
        f"{LABELS[card.judged.verdict]}</td>"
        f'<td class="num">{number(card.points)} / '
        f"{number(card.judged.max_points)}</td></tr>"
        for n, card in enumerate(told.cards, 1)
    ]
    for each in told.written:
        own = each.manual
        got = "\N{EN DASH}" if own.points is None else number(own.points)
        label = "Waits for a person" if own.points is None else "Graded"
        rows.append(
            f'<tr><th scope="row"><a href="#written">{said(each.title)}</a>'
            f"</th><td>{label}</td>"
            f'<td class="num">{got} / {number(own.max_points)}</td></tr>'
        )
    if not rows:
        return "<section><p>There is nothing to grade here.</p></section>"
    return (
        '<section aria-label="All questions"><div class="scroll"><table>'
        '<thead><tr><th scope="col">Question</th><th scope="col">Result</th>'
        '<th scope="col" class="num">Points</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _mark(verdict: str) -> str:
    return f'<span class="mark" aria-hidden="true">{MARKS[verdict]}</span>'


def _card(count: int, card: Card, budget: outputs.Budget) -> str:
    judged = card.judged
    points = f"{number(card.points)} of {number(judged.max_points)} points"
    parts = [
        f'<section class="card {judged.verdict}" id="q{count}" '
        f'aria-labelledby="t{count}"><div class="top">'
        f'<h2 id="t{count}">{count}. {said(card.title)}</h2>'
        f'<span class="pill">{_mark(judged.verdict)}'
        f"{LABELS[judged.verdict]}</span><span>{points}</span></div>",
        f"<p>{said(judged.says or MEANINGS[judged.verdict])}</p>",
        *(f"<p>{coded(note)}</p>" for note in card.told.notes),
        _diagnosis(card),
        *(f"<p>{said(text)}</p>" for text in _remarks(card)),
        _stages(card),
        _comment(card.manual),
        _answer(card, budget),
        "</section>",
    ]
    return "".join(parts)


def _remarks(card: Card) -> list[str]:
    return [
        text
        for text in (
            where_it_stopped(card),
            substituted(card),
            given_by_hand(card),
        )
        if text
    ]


def _diagnosis(card: Card) -> str:
    known = [each for each in card.told.misconceptions if each.says]
    if not known or card.judged.verdict == "pass":
        return ""
    told = "".join(
        f"<p>{coded(each.says)}"
        + (f"<br>Read: {said(each.where)}." if each.where else "")
        + "</p>"
        for each in known
    )
    more = "Two things come together" if len(known) > 1 else "What happened"
    return f'<div class="box"><h3>{more}</h3>{told}</div>'


def _stages(card: Card) -> str:
    stages = card.told.stages
    if not stages:
        failed = ", ".join(card.told.failed)
        return f"<p>Not yet right: {said(failed)}.</p>" if failed else ""
    items = []
    for each in stages:
        look = "pass" if each.passed else "fail"
        word = "holds" if each.passed else "does not hold"
        points = (
            f'<span class="num muted">{worth(each.points)}</span>'
            if each.points
            else ""
        )
        items.append(
            f'<li class="{look}"><span class="mark" role="img" '
            f'aria-label="{word}:">{MARKS[look]}</span>'
            f"<span><strong>{said(each.name)}</strong>: "
            f"{coded(each.must)}</span>{points}</li>"
        )
    listed = f'<ul class="stages">{"".join(items)}</ul>'
    return f"<h3>{parts_heading(card)}</h3>{listed}"


def _comment(manual: Manual | None) -> str:
    if manual is None or not manual.comment.strip():
        return ""
    text = said(manual.comment).replace("\n", "<br>")
    return f'<div class="box"><h3>Comment</h3><p>{text}</p></div>'


def _answer(card: Card, budget: outputs.Budget) -> str:
    cells = "".join(_cell(cell, budget, card.line) for cell in card.answers)
    if not cells and card.judged.verdict != "missing":
        cells = "<p>Your answer's cell was not found by its name.</p>"
    passed = card.judged.verdict == "pass"
    parts = []
    if cells and passed:
        parts.append(
            f"<details><summary>Your answer</summary>{cells}</details>"
        )
    elif cells:
        parts.append(f"<h3>Your answer</h3>{cells}")
    shown = outputs.as_html(card.judged.shown, budget)
    if shown:
        # What the card says already is there to look up.
        opened = "" if passed or card.told.stages else " open"
        parts.append(
            f"<details{opened}><summary>What the visible check "
            f'showed</summary><div class="shown">{shown}</div></details>'
        )
    return "".join(parts)


def _cell(cell: Cell, budget: outputs.Budget, line: int | None = None) -> str:
    if cell.kind == "code":
        drawn = listing.code(cell.source, here=line)
    elif budget.take("marked_up", len(cell.source)):
        drawn = markup.markdown(cell.source, cell.attachments)
        drawn = f'<div class="theirs">{drawn}</div>'
    else:
        drawn = "<p>(too long to be shown)</p>"
    shown = outputs.as_html(cell.outputs, budget)
    return drawn + (f'<div class="shown">{shown}</div>' if shown else "")


def _written(written: tuple[Written, ...]) -> str:
    if not written:
        return ""
    budget = outputs.Budget()
    parts = []
    for each in written:
        own = each.manual
        points = (
            f"waits for a person; {number(own.max_points)} points at most"
            if own.points is None
            else f"{number(own.points + own.extra)} of "
            f"{number(own.max_points)} points"
        )
        answer = (
            _cell(each.answer, budget)
            if each.answer and each.answer.source.strip()
            else "<p>There is no answer.</p>"
        )
        parts.append(
            f"<h3>{said(each.title)}: {points}</h3>{answer}{_comment(own)}"
        )
    return (
        '<section class="card none" id="written" aria-labelledby="tw">'
        f'<h2 id="tw">Written answers</h2>{"".join(parts)}</section>'
    )


def _rest(cells: tuple[Cell, ...], budget: outputs.Budget) -> str:
    if not cells:
        return ""
    drawn = "".join(
        f'<p class="kind">Cell {cell.place + 1}</p>{_cell(cell, budget)}'
        for cell in cells
    )
    return (
        '<section aria-labelledby="tr"><h2 id="tr">The rest of your '
        f"notebook</h2><details><summary>Show {counted(len(cells), 'cell')}"
        f"</summary>{drawn}</details></section>"
    )


def _footer(told: Feedback) -> str:
    isolation = told.outcome.isolation or "not recorded"
    return (
        '<footer class="small muted"><h2>How this was graded</h2>'
        f"{''.join(f'<p>{said(text)}</p>' for text in HOW)}"
        f"<p>What held your code while it ran: {said(isolation)}.</p>"
        "</footer>"
    )
