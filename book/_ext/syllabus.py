"""The head of each chapter, and the map of the course.

A chapter's front matter says what it asks and which units it builds on; its
words and its unit's questions say how long it takes. Nothing is typed twice.
"""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import quote

import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from attncourse import questions

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "book" / "_reading"
# With formulas and figures one reads more slowly than a novel.
WORDS_A_MINUTE = 150
FENCED = re.compile(r"^(`{3,}).*?^\1`*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Unit:
    """A unit as a reader plans it."""

    name: str
    stem: str
    title: str
    asks: str
    needs: tuple[str, ...]
    reading: int
    solving: int
    questions: int

    @property
    def number(self) -> int:
        """Return the chapter's number."""
        return int(self.stem[:2])

    @property
    def page(self) -> str:
        """Return the chapter's address, from the book's root."""
        return f"{self.stem}.html"


def rounded(minutes: float) -> int:
    """Return whole steps of five minutes, for these are estimates.

    Examples
    --------
    >>> rounded(31.2), rounded(35)
    (35, 35)
    """
    return 5 * math.ceil(minutes / 5)


def words(text: str) -> int:
    """Return how many words of a chapter are read, listings left out."""
    return len(FENCED.sub("", text).split())


@cache
def unit(name: str) -> Unit:
    """Return a unit, from its chapter and its questions.

    Raises
    ------
    ValueError
        If the chapter builds on a unit that does not come before it.
    """
    stem = questions.stem(name)
    text = (ROOT / "book" / f"{stem}.md").read_text("utf-8")
    _, front, body = text.split("---\n", 2)
    told = yaml.safe_load(front)["course"]
    before = questions.UNITS[: questions.UNITS.index(name)]
    if not set(told["needs"]) <= set(before):
        raise ValueError(
            f"{stem} must build on units before it: got {told['needs']}"
        )
    asked = [questions.load(each) for each in questions.ids(name)]
    title = re.search(r"^# (.+)$", body, re.MULTILINE)
    return Unit(
        name=name,
        stem=stem,
        title=title[1] if title else name,
        asks=told["asks"],
        needs=tuple(told["needs"]),
        reading=rounded(words(body) / WORDS_A_MINUTE),
        solving=rounded(sum(each.minutes for each in asked)),
        questions=len(asked),
    )


def units() -> list[Unit]:
    """Return the units in the order of the course."""
    return [unit(name) for name in questions.UNITS]


def badges(each: Unit, hosted: str) -> str:
    """Return links to a notebook on hosts that run it, if there are any.

    `hosted` is a public repository: ``OWNER/NAME`` on GitHub, with ``@``
    and a branch where it is not main. Nothing is loaded from there.
    """
    if not hosted:
        return ""
    repository, _, branch = hosted.partition("@")
    branch = quote(branch or "main", safe="")
    path = f"exercises/{each.stem}/{each.name}.ipynb"
    places = {
        "Binder": f"https://mybinder.org/v2/gh/{repository}/{branch}"
        f"?labpath={quote(path, safe='')}",
        "Colab": "https://colab.research.google.com/github/"
        f"{repository}/blob/{branch}/{path}",
    }
    return "".join(
        f'<li><a class="hosted" href="{escape(place)}">'
        f"<span>open in</span> <b>{name}</b></a></li>"
        for name, place in places.items()
    )


def links(needed: tuple[str, ...]) -> str:
    """Return links to the units that a unit builds on."""
    return ", ".join(
        f'<a href="{each.page}">{each.number}. {escape(each.title)}</a>'
        for each in map(unit, needed)
    )


def head(each: Unit, hosted: str = "") -> str:
    """Return the facts at the head of a chapter."""
    needs = f"<li><b>Builds on</b> {links(each.needs)}</li>" * bool(each.needs)
    return (
        '<ul class="chapter-facts" aria-label="About this chapter">'
        f"<li><b>Reading</b> about {each.reading} minutes</li>"
        f"<li><b>Solving</b> {each.questions} questions, "
        f"about {each.solving} minutes</li>{needs}"
        f'<li><a href="_notebooks/{each.stem}.ipynb" '
        f'download="{each.name}.ipynb">Download the notebook</a></li>'
        f"{badges(each, hosted)}</ul>"
    )


def arcs(all_units: list[Unit]) -> str:
    """Return the lines of the map, in a picture as wide as 100.

    Neighbours are joined by the line of dots; what lies further apart, by
    an arc that reaches out the further, the more it spans.
    """
    at = {each.name: n for n, each in enumerate(all_units)}
    paths = []
    for each in all_units:
        for needed in each.needs:
            low, high = at[needed], at[each.name]
            reach = 0 if high - low == 1 else 22 + 15 * (high - low)
            top, end, out = 100 * low + 50, 100 * high + 50, 100 - reach
            paths.append(
                f'<path d="M100 {top} C{out} {top} {out} {end} 100 {end}"/>'
            )
    return (
        f'<svg viewBox="0 0 102 {100 * len(all_units)}" aria-hidden="true" '
        f'preserveAspectRatio="none">{"".join(paths)}</svg>'
    )


def course_map() -> str:
    """Return the map: every unit, what it asks, and what it builds on."""
    rows = []
    for each in units():
        needed = [unit(name).number for name in each.needs]
        listed = " and ".join(map(str, needed[-2:]))
        listed = ", ".join([*map(str, needed[:-2]), listed])
        after = f" · builds on {listed}" * bool(needed)
        rows.append(
            f'<li><a href="{each.page}">'
            f'<span class="map-number">{each.number}</span> '
            f"<b>{escape(each.title)}</b></a> "
            f'<span class="map-facts">{each.reading + each.solving} minutes'
            f"{after}</span> "
            f'<span class="map-asks">{escape(each.asks)}</span></li>'
        )
    return (
        f'<div class="course-map">{arcs(units())}<ol>{"".join(rows)}</ol>'
        "</div>"
    )


class Map(SphinxDirective):
    """``{course-map}``: the units, and which builds on which."""

    def run(self) -> list[nodes.Node]:
        """Return the map."""
        self.env.note_reread()
        return [nodes.raw("", course_map(), format="html")]


class Start(SphinxDirective):
    """``{course-start}``: the first chapter, and its notebook."""

    def run(self) -> list[nodes.Node]:
        """Return the links."""
        self.env.note_reread()
        first = units()[0]
        html = (
            f'<p class="course-start"><a href="{first.page}">Start with '
            f"{first.number}. {escape(first.title)}</a>"
            f'<a href="_notebooks/{first.stem}.ipynb" '
            f'download="{first.name}.ipynb">Download its notebook</a></p>'
        )
        return [nodes.raw("", html, format="html")]


def put_head(app, doctree, docname) -> None:
    """Put the facts below a chapter's title."""
    for name in questions.UNITS:
        if questions.stem(name) == docname:
            html = head(unit(name), app.config.hosted_notebooks)
            title = next(iter(doctree.findall(nodes.title)))
            facts = nodes.raw("", html, format="html")
            title.parent.insert(title.parent.index(title) + 1, facts)


def copy_notebooks(app, error) -> None:
    """Put the notebooks into the site, as chapters link to them."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_notebooks"
    folder.mkdir(exist_ok=True)
    for name in questions.UNITS:
        stem = questions.stem(name)
        source = ROOT / "exercises" / stem / f"{name}.ipynb"
        shutil.copyfile(source, folder / f"{stem}.ipynb")


def add_style(app, config) -> None:
    """Add the style of heads and map, and of paper."""
    unit.cache_clear()
    config.html_static_path.append(str(ASSETS))
    app.add_css_file("reading.css")
    app.add_css_file("syllabus.css")
    app.add_css_file("print.css", media="print")


def setup(app):
    """Connect the extension."""
    app.add_config_value("hosted_notebooks", "", "html", (str,))
    app.add_directive("course-map", Map)
    app.add_directive("course-start", Start)
    app.connect("config-inited", add_style)
    app.connect("doctree-resolved", put_head)
    app.connect("build-finished", copy_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
