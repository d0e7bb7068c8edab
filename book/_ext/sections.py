"""What the sections of a built page say, for its search."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
UNREAD = {"script", "style", "button", "nav", "template", "footer"}
UNREAD_CLASSES = {"headerlink", "chapter-facts", "course-map"}
DRAWING = re.compile(r"<svg\b[^>]*>.*?</svg>", re.DOTALL)
WORDS = re.compile(r'aria-label="([^"]*)"')
# A formula's command is its name: \softmax is found as softmax.
COMMAND = re.compile(
    r"\\(?:begin|end|mathrm|mathbf|mathbb|mathcal|operatorname|text|left|right"
    r"|frac|dfrac|quad|qquad|class|htmlId|cdot)\b|\\([a-zA-Z]+)|[\\{}$&^_]"
)


@dataclass
class Section:
    """A place to which a search can lead, and its own text."""

    id: str
    title: str = ""
    page: str = ""
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the words in one line."""
        return " ".join("".join(self.parts).split())


def formula(tex: str) -> str:
    r"""Return the names in a formula.

    Examples
    --------
    >>> formula(r"\softmax(q) \cdot \alpha")
    'softmax (q) alpha'
    """
    tex = re.sub(r"\\[()\[\]]", " ", tex)
    said = COMMAND.sub(lambda m: f"{m[1]} " if m[1] else " ", tex)
    return " ".join(said.split())


class Reader(HTMLParser):
    """Collects the sections of the page's article."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Section] = []
        self.open: list[tuple[str, str]] = []  # tag, what it opened
        self.inside: list[Section] = []
        self.depths: list[int] = []  # of `inside`, where definitions began
        self.quiet = 0
        self.math: list[str] | None = None
        self.heading = False

    def handle_starttag(self, tag: str, attrs) -> None:
        """Open what the element begins."""
        if tag in VOID:
            self.say(" ")
            return
        values = dict(attrs)
        self.open.append((tag, self.kind(tag, values)))

    def kind(self, tag: str, values: dict) -> str:
        """Return what an element begins, and begin it."""
        classes = (values.get("class") or "").split()
        if tag in UNREAD or self.quiet or UNREAD_CLASSES & set(classes):
            self.quiet += 1
            return "quiet"
        if tag == "article" and "bd-article" in classes:
            return "article"
        if tag == "section" and values.get("id"):
            return self.begin(values["id"])
        if tag == "dl" and "py" in classes:
            self.depths.append(len(self.inside))
            return "definitions"
        if tag == "dt" and "sig" in classes and values.get("id"):
            # A function is a place of its own until its list ends.
            self.begin(values["id"], values["id"].rpartition(".")[2])
        if "math" in classes and tag in ("span", "div"):
            self.math = []
            return "math"
        # What an exercise in it is called is not the section's title.
        named = self.inside and self.inside[-1].title
        if re.fullmatch(r"h[1-6]", tag) and self.inside and not named:
            self.heading = True
            return "heading"
        if tag not in ("a", "b", "code", "em", "span", "strong", "sub", "sup"):
            self.say(" ")
        return ""

    def begin(self, name: str, title: str = "") -> str:
        """Begin a section."""
        made = Section(name, title)
        self.inside.append(made)
        self.found.append(made)
        return "section"

    def handle_endtag(self, tag: str) -> None:
        """Close what the element began."""
        while self.open:
            last, kind = self.open.pop()
            self.close(last, kind)
            if last == tag:
                return

    def close(self, tag: str, kind: str) -> None:
        """End what an element began."""
        if kind == "quiet":
            self.quiet -= 1
        elif kind == "section":
            self.inside.pop()
        elif kind == "heading":
            self.heading = False
        elif kind == "math" and self.math is not None:
            said = formula("".join(self.math))
            self.math = None
            self.handle_data(f" {said} ")
        elif kind == "definitions":
            del self.inside[self.depths.pop() :]
        if tag in ("p", "li", "td", "pre", "figcaption"):
            self.say(" ")

    def handle_data(self, data: str) -> None:
        """Take a piece of text."""
        if self.math is not None:
            self.math.append(data)
        elif self.heading and not self.quiet:
            self.inside[-1].title += data
        else:
            self.say(data)

    def say(self, data: str) -> None:
        """Add a piece of text to the innermost section."""
        if self.inside and not self.quiet:
            self.inside[-1].parts.append(data)


def sections(html: str) -> list[Section]:
    """Return the sections of a built page, in its order."""
    start = html.find('<article class="bd-article"')
    end = html.rfind("</article>")
    if start < 0:
        return []
    article = DRAWING.sub(drawn, html[start:end])
    reader = Reader()
    reader.feed(article)
    if not reader.found:
        return []
    first = reader.found[0]
    for each in reader.found:
        each.title = " ".join(each.title.split()) or each.id
        each.page = first.title
    return reader.found


def drawn(picture: re.Match) -> str:
    """Return what a drawing says to those who do not see it."""
    words = WORDS.search(picture[0][: picture[0].find(">") + 1])
    return f"<p>{words[1]}</p>" if words else " "
