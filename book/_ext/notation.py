"""The notation page as data: what a letter in a formula means, and its shape.

The tables of `book/notation.md` are the one source. `symbols.js` shows a row
to whoever points at the letter, touches it, or reaches it by keyboard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from docutils import nodes

ASSETS = Path(__file__).resolve().parents[1] / "_symbols"
FOLDER = ASSETS.name
PAGE = "notation"
UNIT = re.compile(r"^(\d\d)_")
# The macros of `_config.yml` that colour a letter.
COLOURS = dict(zip("qkvo", ("query", "key", "value", "output"), strict=True))
SYMBOL = re.compile(r"(?P<letter>\\?[A-Za-z]+)(?:_(?:\{(\w+)\}|(\w)))?$")
# Letters that count; what they are attached to stays the same thing.
INDICES = re.compile(r"[ijl]+")
TEX = re.compile(
    r"\\(?P<name>[A-Za-z]+) ?|[_^](?:\{(?P<many>[^}]*)\}|(?P<one>\w))"
    r"|(?P<letter>[A-Za-z])|(?P<other>.)",
    re.DOTALL,
)
SIGNS = {"tau": "τ", "partial": "∂"}


def colour_of(name: str) -> str | None:
    r"""Return the colour of a macro such as ``\Q``; None if it has none."""
    return COLOURS.get(name.lower()) if len(name) == 1 else None


def symbol(tex: str) -> dict[str, object]:
    r"""Return which letters of a formula a symbol of the notation covers.

    Its `letter`, its `colour`, and the subscript that it must have: "" for
    none, None for any.

    Examples
    --------
    >>> symbol(r"\q_i")
    {'letter': 'q', 'colour': 'query', 'sub': None}
    >>> symbol("d_k")
    {'letter': 'd', 'colour': None, 'sub': 'k'}
    >>> symbol("n")
    {'letter': 'n', 'colour': None, 'sub': ''}
    """
    found = SYMBOL.match(tex.strip())
    if not found:
        raise ValueError(f"a symbol must be a letter with an index: got {tex}")
    name, sub = found["letter"], found[2] or found[3]
    colour = colour_of(name[1:]) if name[0] == "\\" else None
    letter = name.removeprefix("\\")
    letter = SIGNS.get(letter, letter)
    # An index may be left out, and a matrix may have one.
    free = INDICES.fullmatch(sub) if sub else colour or letter.isupper()
    return {
        "letter": letter,
        "colour": colour,
        "sub": None if free else sub or "",
    }


def html_of(tex: str) -> str:
    r"""Return a short formula as plain HTML.

    Examples
    --------
    >>> html_of(r"\partial a_j / \partial s_l")
    '∂<i>a</i><sub>j</sub> / ∂<i>s</i><sub>l</sub>'
    """
    parts = []
    for token in TEX.finditer(tex):
        name = token["name"]
        if name and colour_of(name):
            parts.append(f'<i class="course-{colour_of(name)}">{name}</i>')
        elif name:
            parts.append(SIGNS[name])
        elif token["letter"]:
            parts.append(f"<i>{token['letter']}</i>")
        elif token["other"]:
            parts.append(escape(token["other"]))
        else:
            tag = "sub" if token[0][0] == "_" else "sup"
            parts.append(f"<{tag}>{token['many'] or token['one']}</{tag}>")
    return "".join(parts)


def words(node: nodes.Node) -> str:
    """Return what a cell says as a line of HTML without links."""
    if isinstance(node, nodes.Text):
        return escape(" ".join(node.astext().split("\n")))
    if isinstance(node, nodes.math):
        return html_of(node.astext())
    inside = "".join(map(words, node.children))
    if isinstance(node, nodes.strong):
        return f"<b>{inside}</b>"
    if isinstance(node, nodes.literal):
        return f"<code>{inside}</code>"
    return inside


def rows(table: nodes.table) -> Iterator[list[nodes.entry]]:
    """Yield the cells of each row below the head of a table."""
    for row in next(table.findall(nodes.tbody)).findall(nodes.row):
        yield list(row.findall(nodes.entry))


def units(cell: nodes.Node) -> list[str]:
    """Return the numbers of the units that a cell speaks of."""
    return re.findall(r"\b\d\d\b", cell.astext())


def read(doctree: nodes.document) -> list[dict[str, object]]:
    """Return the rows of the page's tables, the exceptions first.

    A table whose second column is "Unit" holds exceptions.
    """
    general, special = [], []
    for table in doctree.findall(nodes.table):
        head = next(table.findall(nodes.thead)).findall(nodes.entry)
        second = list(head)[1].astext()
        for cells in rows(table):
            names = [each.astext() for each in cells[0].findall(nodes.math)]
            shown = ", ".join(map(html_of, names))
            where = units(cells[1]) if second == "Unit" else []
            last = [words(each) for each in cells[1:]]
            row = {"shown": shown, "says": last[1 if where else 0]}
            if where:
                row["units"] = where
                row["symbols"] = [{**symbol(t), "sub": None} for t in names]
                special.append(row)
                continue
            row["shape"] = last[1]
            row["derivative"] = names[0][0] == "d" and len(names[0]) == 2
            row["symbols"] = [symbol(each) for each in names]
            general.append(row)
    return special + general


def add_script(app, pagename, templatename, context, doctree) -> None:
    """Load the script on the pages that have formulas.

    It explains letters in the chapters only: elsewhere they are the papers'.
    """
    if doctree is None:
        return
    if not any(
        next(doctree.findall(kind), None) is not None
        for kind in (nodes.math, nodes.math_block)
    ):
        return

    unit = UNIT.match(pagename)

    def address(file: str) -> str:
        return context["pathto"](f"{FOLDER}/{file}", 1)

    context["metatags"] = "\n".join(
        [
            context.get("metatags", ""),
            f'<link rel="stylesheet" href="{address("symbols.css")}"/>',
            f'<script defer src="{address("symbols.js")}" '
            f'data-unit="{unit[1] if unit else ""}"></script>',
        ]
    )


def write(app, error) -> None:
    """Write the script, with the notation in it, beside the pages."""
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / FOLDER
    folder.mkdir(exist_ok=True)
    found = []
    if PAGE in app.env.found_docs:
        found = read(app.env.get_doctree(PAGE))
    for file in ASSETS.iterdir():
        text = file.read_text(encoding="utf-8")
        data = json.dumps(found, ensure_ascii=False)
        text = text.replace("/* NOTATION */ []", data)
        (folder / file.name).write_text(text, encoding="utf-8")


def setup(app):
    """Connect the extension."""
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
