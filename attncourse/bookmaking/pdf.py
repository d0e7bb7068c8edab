"""The whole book as one PDF: contents with page numbers, and bookmarks."""

from __future__ import annotations

import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from attncourse.bookmaking.browser import (
    MissingBrowser,
    chromium,
    served,
    shut_in,
    when_typeset,
)

HERE = Path(__file__).parent
FOOTER = (
    '<div style="width: 100%; font-size: 8px; text-align: center">'
    '<span class="pageNumber"></span></div>'
)
MARGINS = {"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"}
# The library is looked up by links and search, and twice as long as the rest.
ON_SCREEN = ("library", "progress")
NUMBERS = """numbers => document.querySelectorAll(".whole-number")
    .forEach((each, n) => { each.textContent = numbers[n] })"""


class _Menu(HTMLParser):
    """Reads the pages in order from the menu at a page's side."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = ["index.html"]
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        values = dict(attrs)
        if tag == "nav" and "bd-links" in (values.get("class") or ""):
            self.depth = 1
        elif tag == "nav" and self.depth:
            self.depth += 1
        elif tag == "a" and self.depth:
            place = (values.get("href") or "").partition("#")[0]
            page = place or "index.html"
            if page.endswith(".html") and page not in self.pages:
                self.pages.append(page)

    def handle_endtag(self, tag: str) -> None:
        if tag == "nav" and self.depth:
            self.depth -= 1


def pages_of(index: str) -> list[str]:
    """Return the addresses of the book's pages in order.

    Examples
    --------
    >>> pages_of('<nav class="bd-links"><a href="#">A</a>'
    ...          '<a href="b.html">B</a></nav><a href="c.html">C</a>')
    ['index.html', 'b.html']
    """
    menu = _Menu()
    menu.feed(index)
    return menu.pages


def printed(page: Any) -> bytes:
    """Return a page as PDF."""
    return page.pdf(
        format="A4",
        margin=MARGINS,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
        print_background=True,
        tagged=True,
    )


def page_numbers(pdf: bytes, places: list[str]) -> list[int]:
    """Return the page on which each named place stands, from 1.

    Raises
    ------
    ValueError
        If the PDF does not know a place.
    """
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(pdf))
    named = reader.named_destinations
    lost = [place for place in places if f"/{place}" not in named]
    lost = [place for place in lost if place not in named]
    if lost:
        raise ValueError(f"the PDF must know every heading: lost {lost}")
    numbers = []
    for place in places:
        target = named.get(place) or named[f"/{place}"]
        number = reader.get_destination_page_number(target)
        numbers.append(1 + (number or 0))
    return numbers


def with_bookmarks(
    pdf: bytes, entries: list[dict], numbers: list[int], title: str
) -> bytes:
    """Return a PDF that lists its headings beside its pages."""
    from pypdf import PdfWriter

    writer = PdfWriter(clone_from=io.BytesIO(pdf))
    writer.add_metadata({"/Title": title})
    parent = None
    for entry, number in zip(entries, numbers, strict=True):
        above = parent if entry["level"] else None
        item = writer.add_outline_item(
            title=entry["title"], page_number=number - 1, parent=above
        )
        parent = parent if entry["level"] else item
    writer.page_mode = "/UseOutlines"
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def make(html: Path, target: Path, *, everything: bool = False) -> int:
    """Write the built book in `html` as one PDF; return its pages.

    Without `everything`, what serves on a screen only is left out.

    Raises
    ------
    FileNotFoundError
        If the book is not built.
    """
    from pypdf import PdfReader

    index = html / "index.html"
    if not index.is_file():
        raise FileNotFoundError(
            f"the book must be built first (make book): got no {index}"
        )
    pages = pages_of(index.read_text("utf-8"))
    if not everything:
        pages = [each for each in pages if not each.startswith(ON_SCREEN)]
    # A page that brings MathJax along takes in the others.
    start = next(
        each
        for each in pages
        if "mathjax/" in (html / each).read_text("utf-8")
    )
    with served(html) as site, chromium() as browser:
        page = shut_in(browser.new_context()).new_page()
        page.set_default_timeout(0)
        page.goto(site + start)
        when_typeset(page)
        script = (HERE / "assemble.js").read_text("utf-8")
        entries = page.evaluate(script, pages)
        page.emulate_media(media="print")
        places = [each["place"] for each in entries]
        numbers = page_numbers(printed(page), places)
        page.evaluate(NUMBERS, numbers)
        pdf = printed(page)
    title = re.sub(r"\s+", " ", entries[0]["title"])
    pdf = with_bookmarks(pdf, entries, page_numbers(pdf, places), title)
    target.write_bytes(pdf)
    return len(PdfReader(io.BytesIO(pdf)).pages)


def main() -> int:
    """Make the PDF of the book that is built here."""
    everything = "--all" in sys.argv[1:]
    build = Path("_build")
    target = build / "attention.pdf"
    try:
        count = make(build / "html", target, everything=everything)
    except (MissingBrowser, FileNotFoundError) as error:
        print(f"make pdf: {error}", file=sys.stderr)
        return 1
    print(f"The book, {count} pages: {target.resolve()}")
    if not everything:
        print("The library is left out; ALL=1 prints it, too.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
