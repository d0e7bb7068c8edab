"""Explorers: small interactive figures, put on a page by their name.

How to write one, called NAME (words joined by underscores):

1. `attncourse/explorers/NAME.py` with `TITLE`, `ALT`, `data()` (JSON-able,
   from the package, below 60 kB) and `fallback()` (a still figure).
2. `book/_explorers/NAME.js`: a class that extends `Explorer` of `base.js`
   with `initial`, `build`, `compute`, `draw` and `words`, then
   `define("NAME", TheClass)`. `base.js` explains each; `temperature.js` is
   an example. Formulas go to `maths.js` or `NAME_maths.js`, colours to
   `explorers.css` or `NAME.css`.
3. In the chapter: ```` ```{explorer} NAME ````, and inside, as MyST, what
   to try and what to notice.
4. A test that compares `element.numbers` with the package's reference.

Where no script runs, in print and from file:// (browsers load no modules
from there) the still figure stands in the explorer's place.
"""

from __future__ import annotations

import shutil
from html import escape
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from attncourse import explorers, figures

HERE = Path(__file__).resolve().parent
ASSETS = HERE.parent / "_explorers"
FOLDER = ASSETS.name


class Explorer(nodes.General, nodes.Element):
    """One explorer in a document; its children are the caption."""


class ExplorerDirective(SphinxDirective):
    """Put an explorer on the page."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        """Return the explorer, with its data and its still figure."""
        name = self.arguments[0].strip()
        try:
            module = explorers.load(name)
            data = explorers.as_json(module.data())
        except ValueError as error:
            raise self.error(str(error)) from error
        if not self.content:
            raise self.error(f"explorer {name} must say what to try")
        for file in Path(explorers.__file__).parent.glob("*.py"):
            self.env.note_dependency(str(file))
        self.env.note_dependency(__file__)
        node = Explorer(
            "",
            name=name,
            title=module.TITLE,
            data=data,
            still=figures.figure_html(module.fallback(), alt=module.ALT),
        )
        self.state.nested_parse(self.content, self.content_offset, node)
        self.set_source_info(node)
        return [node]


def visit(translator, node) -> None:
    """Open the element: title, data and still figure; then the caption."""
    tag = node["name"].replace("_", "-")
    label = f"explorer-{tag}"
    translator.body.append(
        f'<explore-{tag} class="explorer" id="{label}" role="group" '
        f'aria-labelledby="{label}-title">'
        f'<p class="explorer-title" id="{label}-title">'
        f"{escape(node['title'])}</p>"
        f'<script type="application/json">{node["data"]}</script>'
        f'<div class="explorer-still">{node["still"]}</div>'
        '<div class="explorer-caption">\n'
    )


def depart(translator, node) -> None:
    """Close the caption and the element."""
    tag = node["name"].replace("_", "-")
    translator.body.append(f"</div></explore-{tag}>\n")


def skip(translator, node) -> None:
    """Leave it out where there is no page."""
    raise nodes.SkipNode


def add_scripts(app, pagename, templatename, context, doctree) -> None:
    """Load scripts and style on the pages that have an explorer."""
    found = doctree.findall(Explorer) if doctree is not None else ()
    names = sorted({node["name"] for node in found})
    if not names:
        return

    def address(file: str) -> str:
        return context["pathto"](f"{FOLDER}/{file}", 1)

    own = [f"{name}.css" for name in names]
    styles = [
        f'<link rel="stylesheet" href="{address(file)}"/>'
        for file in ["explorers.css", *own]
        if (ASSETS / file).is_file()
    ]
    scripts = [
        f'<script type="module" src="{address(name + ".js")}"></script>'
        for name in names
    ]
    before = context.get("metatags", "")
    context["metatags"] = "\n".join([before, *styles, *scripts])


def copy_assets(app, error) -> None:
    """Put scripts and style beside the pages."""
    if error is None and app.builder.format == "html":
        shutil.copytree(ASSETS, Path(app.outdir) / FOLDER, dirs_exist_ok=True)


def setup(app):
    """Connect the extension."""
    app.add_node(
        Explorer,
        html=(visit, depart),
        latex=(skip, None),
        text=(skip, None),
        man=(skip, None),
        texinfo=(skip, None),
    )
    app.add_directive("explorer", ExplorerDirective)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", copy_assets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
