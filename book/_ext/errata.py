"""The documents' errors: a box in a chapter, a row on the page of errors.

A box is a label such as ``(e12)=`` and the admonition below it. The page
holds what refutes it, and each leads to the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

PAGE = "errata"
LABEL = re.compile(r"^\((e\d\d)\)=\s*$", re.MULTILINE)
TITLE = re.compile(r"\{admonition\}[^(\n]*\(E\d\d\)(?:: *(.+?))? *$", re.M)
BODY = re.compile(r"\n\n?((?:[^:\n].*\n)+)")
HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
ENTRY = re.compile(r"^(e\d\d): ", re.MULTILINE)
# The inventory of the documents counts this many errors.
ERRORS = 31


def claim(text: str) -> str:
    """Return what the box at the start of `text` says: its title's end.

    A title that is a number only is completed by the first sentence.
    """
    title = TITLE.search(text)
    if title and title[1]:
        said = title[1]
    else:
        body = BODY.search(text, title.end() if title else 0)
        said = " ".join((body[1] if body else "").split())
        said = re.split(r"(?<=[.;:?])\s", said)[0].rstrip(".;:")
    # Roles lead to places that the table does not need.
    said = re.sub(r"\{[\w:]+\}`([^`<]*?)\s*(?:<[^`]*>)?`", r"\1", said)
    return said[:1].upper() + said[1:]


def refutations(text: str) -> dict[str, str]:
    r"""Return what is right, by the error's label.

    Examples
    --------
    >>> refutations("e01: Rows\nsum to one.\ne02: Divide.")
    {'e01': 'Rows sum to one.', 'e02': 'Divide.'}
    """
    parts = ENTRY.split(text)[1:]
    return {
        label: " ".join(said.split())
        for label, said in zip(parts[::2], parts[1::2], strict=True)
    }


def listed(numbers: list[int]) -> str:
    """Return the numbers of errors as words of a sentence.

    Examples
    --------
    >>> listed([10, 13, 14])
    'E10, E13 and E14'
    """
    names = [f"E{number:02d}" for number in numbers]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


class Errata(SphinxDirective):
    """A table of the documents' errors and where the book corrects them.

    Its content says of each error what is right: ``e12: Of the values.``
    """

    has_content = True

    def boxes(self) -> Iterator[tuple[str, str, str]]:
        """Yield each box: its label, what it says, and its page's title."""
        for name in sorted(self.env.found_docs):
            source = Path(self.env.doc2path(name))
            if source.suffix != ".md" or name == PAGE:
                continue
            text = source.read_text(encoding="utf-8")
            heading = HEADING.search(text)
            for label in LABEL.finditer(text):
                said = claim(text[label.end() :])
                yield label[1], said, heading[1] if heading else name

    def run(self) -> list[nodes.Node]:
        """Return the table, made from the chapters as they are now."""
        # Other pages decide what stands here.
        self.env.note_reread()
        right = refutations("\n".join(self.content))
        found = sorted(self.boxes())
        unlike = {label for label, _, _ in found} ^ right.keys()
        if unlike:
            raise self.error(
                "each box must have its refutation, and each refutation its "
                f"box: got {', '.join(sorted(unlike))} alone"
            )
        lines = [":::{list-table}", ":class: errata", ":header-rows: 1", ""]
        lines += ["* - Error", "  - What they say"]
        lines += ["  - What is right", "  - Where"]
        for label, said, title in found:
            name = label.upper()
            lines += [
                f'* - <span id="error-{label}"></span>{name}',
                f"  - {said}",
                f"  - {right[label]}",
                f"  - {{ref}}`{title}: {name} <{label}>`",
            ]
        lines += [":::", ""]
        covered = {int(label[1:]) for label, _, _ in found}
        later = [n for n in range(1, ERRORS + 1) if n not in covered]
        if later:
            lines.append(f"{listed(later)} belong to later parts.")
        box = nodes.container()
        where = self.env.doc2path(self.env.docname)
        self.state.nested_parse(StringList(lines, where), 0, box)
        return box.children


def lead_back(app, doctree) -> None:
    """Put a link to the page of errors at the end of each box."""
    for box in doctree.findall(nodes.admonition):
        labels = [each for each in box["ids"] if re.fullmatch(r"e\d\d", each)]
        if not labels or app.env.docname == PAGE:
            continue
        page = app.builder.get_relative_uri(app.env.docname, PAGE)
        name = labels[0].upper()
        way = nodes.reference(
            "",
            f"{name} in the list of errors",
            refuri=f"{page}#error-{labels[0]}",
            internal=True,
        )
        box += nodes.paragraph("", "", way, classes=["course-error-back"])


def setup(app):
    """Connect the extension."""
    app.add_directive("errata", Errata)
    app.connect("doctree-read", lead_back)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
