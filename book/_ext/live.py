"""Exercises that can be solved in the page; naming one is enough.

    ```{live} dense.attend
    ```

The page shows what the released notebook asks. Scripts make an editor of
the stub (`book/_live/exercise.js`); readers without scripts, on paper or of
a build without the engine's files see the stub and the way to the notebook.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from live_assets import available
from live_html import NODES, fold, live_exercise, live_overview
from live_questions import Exercise, exercise, notebook_of
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

from attncourse import questions

SCRIPTS = Path(__file__).resolve().parents[1] / "_live"
LOG = logging.getLogger(__name__)
TRY = ("Code to try your answer with", "The experiment, for Run")
ONLY = "Write your answer in the unit's notebook, "


class Course(SphinxDirective):
    """What the directives share: parsing, folding, the notebook's link."""

    def parsed(self, text: str, *classes: str) -> nodes.container:
        """Return MyST text as a box."""
        box = nodes.container(classes=list(classes))
        where = self.env.doc2path(self.env.docname)
        self.state.nested_parse(StringList(text.split("\n"), where), 0, box)
        return box

    def notebook(self, unit: str, *before: nodes.Node) -> nodes.paragraph:
        """Return a sentence that ends in the notebook's link."""
        file = notebook_of(unit)
        here = Path(self.env.doc2path(self.env.docname)).parent
        link = addnodes.download_reference(
            "",
            "",
            nodes.literal("", file.name),
            reftarget=os.path.relpath(file, here),
            refdoc=self.env.docname,
            classes=["live-notebook"],
        )
        way = nodes.paragraph("", "", *before, classes=["live-way"])
        way += [link, nodes.Text(".")]
        return way


class Live(Course):
    """One question of the course, to be solved in the page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the exercise's box; refuse a name that no question has."""
        name = self.arguments[0]
        try:
            asked = exercise(name)
        except ValueError as error:
            raise self.error(f"live: {error}") from error
        file = notebook_of(asked.question.unit)
        self.env.note_dependency(str(file))
        if not asked.runs_here:
            return [self.elsewhere(asked)]
        self.once(name)
        box = live_exercise("", question=name)
        box += self.parsed(asked.prompt, "live-prompt")
        if asked.before:
            box += code(asked.before, "live-scratch")
        box += code(asked.stub, "live-answer")
        if asked.tried:
            tried = fold("", summary=TRY[asked.question.kind == "predict"])
            tried += code(asked.tried, "live-scratch")
            box += self.parsed(asked.words, "live-words")
            box += tried
        elif asked.words:
            box += self.parsed(asked.words, "live-words")
        for number, hint in enumerate(asked.question.hints, 1):
            count = len(asked.question.hints)
            ladder = fold("", summary=f"Hint {number} of {count}", hint=True)
            ladder += nodes.paragraph("", hint)
            box += ladder
        box += self.notebook(asked.question.unit, nodes.Text(ONLY))
        return [box]

    def once(self, name: str) -> None:
        """Remember where a question is asked; complain of a second place."""
        places = live_places(self.env)
        here = self.env.docname
        if name in places:
            LOG.warning(
                "%s must be live in one place: it is in %s already",
                name,
                places[name],
                location=self.get_location(),
            )
        places[name] = here

    def elsewhere(self, asked: Exercise) -> nodes.paragraph:
        """Return the way to a question that no browser can run."""
        question = asked.question
        return self.notebook(
            question.unit,
            nodes.strong("", question.title),
            nodes.Text(
                " needs PyTorch, which a browser cannot run. It waits for "
                "you in the unit's notebook, "
            ),
        )


class Overview(Course):
    """The state of every exercise, of all units or of one.

    With a unit's name it is the box that ends a chapter.
    """

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a list of exercises for each unit."""
        units = self.arguments or questions.UNITS
        box = live_overview("", units=list(units))
        for unit in units:
            try:
                named = questions.ids(unit)
            except ValueError as error:
                raise self.error(f"live-progress: {error}") from error
            self.env.note_dependency(str(notebook_of(unit)))
            part = nodes.container(
                classes=["live-unit"], ids=[f"live-unit-{unit}"]
            )
            if not self.arguments:
                part += self.heading(unit)
            items = nodes.bullet_list(classes=["live-list"])
            for name in named:
                items += self.item(exercise(name))
            part += items
            said = "The notebook of this unit, empty: "
            part += self.notebook(unit, nodes.Text(said))
            box += part
        return [box]

    def heading(self, unit: str) -> nodes.paragraph:
        """Return the unit's name, which leads to its chapter."""
        text = f"{{doc}}`/{questions.stem(unit)}`"
        return self.parsed(text, "live-chapter")

    def item(self, asked: Exercise) -> nodes.list_item:
        """Return one exercise with its link and its facts."""
        question = asked.question
        stem = questions.stem(question.unit)
        uri = self.env.app.builder.get_relative_uri(self.env.docname, stem)
        link = nodes.reference(
            "", question.title, refuri=f"{uri}#{asked.anchor}", internal=True
        )
        facts = nodes.inline(
            "", " \u00b7 ".join(asked.meta), classes=["live-meta"]
        )
        line = nodes.paragraph("", "", link, nodes.Text(" "), facts)
        return nodes.list_item(
            "", line, classes=["live-item"], ids=[asked.mark]
        )


def code(text: str, name: str) -> nodes.container:
    """Return highlighted code in a box with a class of its own."""
    block = nodes.literal_block(text, text, language="python")
    return nodes.container("", block, classes=[name])


def live_places(env) -> dict[str, str]:
    """Return in which page each question is live."""
    if not hasattr(env, "live_places"):
        env.live_places = {}
    return env.live_places


def forget(app, env, docname) -> None:
    """Forget the exercises of a page that is read anew."""
    places = live_places(env)
    for name in [name for name in places if places[name] == docname]:
        del places[name]


def merge(app, env, docnames, other) -> None:
    """Take over what another process has read."""
    live_places(env).update(
        (name, page)
        for name, page in live_places(other).items()
        if page in docnames
    )


def read_again(app, env, added, changed, removed) -> list[str]:
    """Return the pages with exercises, if what they can do has changed."""
    now, before = available(app), getattr(env, "live_here", None)
    env.live_here = now
    return [] if now == before else sorted(set(live_places(env).values()))


def add_scripts(app, pagename, template, context, doctree) -> None:
    """Give scripts and styles to pages that use them, and to no others."""
    if doctree is None:
        return
    kinds = {live_exercise: "exercise.js", live_overview: "progress.js"}
    used = [kinds[kind] for kind in kinds if any(doctree.findall(kind))]
    if not used:
        return
    wanted = used if available(app) else []
    here = app.builder.get_target_uri(pagename)
    root = relative_uri(here, "_live/")
    tags = [f'<link rel="stylesheet" href="{root}live.css">']
    tags += [
        f'<script type="module" src="{root}{name}"></script>'
        for name in wanted
    ]
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)


def copy_scripts(app, error) -> None:
    """Put the scripts beside the pages."""
    if error is None and app.builder.format == "html":
        target = Path(app.outdir) / "_live"
        target.mkdir(parents=True, exist_ok=True)
        for file in SCRIPTS.iterdir():
            if file.suffix in (".js", ".css"):
                shutil.copy2(file, target / file.name)


def setup(app):
    """Connect the extension."""
    for node, writers in NODES.items():
        app.add_node(node, **writers)
    app.add_directive("live", Live)
    app.add_directive("live-progress", Overview)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("env-get-outdated", read_again)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", copy_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
