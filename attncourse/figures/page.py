"""What a chapter's cells put on the page: figures, numbers, mistakes."""

from __future__ import annotations

import base64
import hashlib
import importlib
import io
import re
import sys
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from attncourse import questions
from attncourse.checking import Misconception, Question
from attncourse.figures.style import ROLES

# An SVG heavier than this is sent as a picture of dots instead.
HEAVY_BYTES = 400_000
DOTS_PER_INCH = 160


class Html:
    """HTML that a notebook shows, with words for where there is none."""

    def __init__(self, html: str, words: str) -> None:
        self.html = html
        self.words = words

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.words}


def show(figure: Figure, *, alt: str, caption: str = "") -> None:
    """Put a figure on the page, with words for those who cannot see it.

    Parameters
    ----------
    figure : what `new` returned.
    alt : what the figure shows, in a sentence or two; it must not be
        empty, and it says what one would see, not that one sees a figure.
    caption : the line under the figure; mathematics stands in $...$.
    """
    display(Html(figure_html(figure, alt=alt, caption=caption), alt))


def figure_html(figure: Figure, *, alt: str, caption: str = "") -> str:
    """Return the `<figure>` element that `show` displays.

    Raises
    ------
    ValueError
        If `alt` says nothing.
    """
    if len(alt.split()) < 3:
        raise ValueError(
            f"alt must say in words what the figure shows: got {alt!r}"
        )
    svg = _svg(figure)
    if len(svg) > HEAVY_BYTES:
        picture = _png(figure, alt)
    else:
        opening = f'<svg role="img" aria-label="{escape(alt, quote=True)}"'
        picture = svg.replace("<svg", opening, 1)
    below = f"<figcaption>{_words(caption)}</figcaption>" if caption else ""
    return f'<figure class="course-figure">{picture}{below}</figure>'


def _words(text: str) -> str:
    """Escape a caption; $...$ becomes what MathJax reads."""
    parts = re.split(r"\$([^$]+)\$", text)
    return "".join(
        f'<span class="math notranslate">\\({escape(part)}\\)</span>'
        if index % 2
        else escape(part)
        for index, part in enumerate(parts)
    )


def _svg(figure: Figure) -> str:
    raw = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "path", "svg.hashsalt": "course"}
    ):
        figure.savefig(raw, format="svg", metadata={"Date": None})
    svg = raw.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Drawings on one page must not share the ids of their parts.
    mine = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{mine}-", svg)
    for name, look in ROLES.items():
        svg = svg.replace(look.light, f"var(--course-{name}, {look.light})")
    return svg


def _png(figure: Figure, alt: str) -> str:
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=DOTS_PER_INCH, facecolor="#ffffff")
    data = base64.b64encode(raw.getvalue()).decode()
    width = round(figure.get_figwidth() * 96)
    return (
        f'<img class="dark-light" alt="{escape(alt, quote=True)}" '
        f'width="{width}" src="data:image/png;base64,{data}"/>'
    )


def number(name: str, value: Any, spec: str = "") -> None:
    """Compute a number in a cell, to be named in the text.

    The text says ``{glue:text}`name```. Write one call for each number;
    names are unique in a chapter.

    Parameters
    ----------
    name : letters, digits, hyphens and underscores.
    value : what `spec` can format.
    spec : Python's format specification, for instance ".3f" or ",".
    """
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(
            f"name must be letters, digits, - and _: got {name!r}"
        )
    text = formatted(value, spec)
    if _shell() is not None:
        importlib.import_module("myst_nb").glue(name, text, display=False)


def formatted(value: Any, spec: str = "") -> str:
    """Return a number as the page writes it.

    Examples
    --------
    >>> formatted(1797, ",")
    '1,797'
    >>> formatted(-0.25, ".2f") == "\N{MINUS SIGN}0.25"
    True
    """
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    return format(value, spec).replace("-", "\N{MINUS SIGN}")


def mistakes(unit: str) -> None:
    """Put the box of a unit's common mistakes on the page."""
    html = mistakes_html(unit)
    display(Html(html, re.sub(r"<[^>]+>", " ", html)))


def mistakes_html(unit: str) -> str:
    """Return the box of a unit's common mistakes.

    They are the misconceptions of its questions, each once, in the order
    of the notebook. Every one opens on its explanation.
    """
    seen: dict[tuple[str, str], str] = {}
    for question_id in questions.ids(unit):
        question = questions.load(question_id)
        if isinstance(question, Question):
            for each in question.misconceptions:
                key = (each.section, each.name)
                seen.setdefault(key, _mistake(unit, each))
    return (
        '<div class="admonition mistakes">'
        '<p class="admonition-title">Common mistakes</p>'
        f"{''.join(seen.values())}</div>"
    )


def _mistake(unit: str, each: Misconception) -> str:
    name = escape(each.name.replace("_", " ").capitalize())
    home = each.section.partition("-")[0]
    page = "" if home == unit else f"{questions.stem(home)}.html"
    where = f'<a href="{page}#{escape(each.section)}">Where this is shown</a>'
    error = ""
    if each.error:
        target = f"errata.html#error-{each.error.lower()}"
        where += f', <a href="{target}">which document says so</a>'
        error = f' <span class="error-id">{escape(each.error)}</span>'
    return (
        f"<details><summary>{name}{error}</summary>"
        f"<p>{escape(each.says)} {where}.</p></details>"
    )


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def display(html: Html) -> None:
    """Show HTML, if a notebook is there to show it."""
    if _shell() is not None:
        importlib.import_module("IPython.display").display(html)
