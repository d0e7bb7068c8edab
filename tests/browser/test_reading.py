"""A page is light, fits its screen, and is found by its words."""

import gzip
import io
import re
from urllib.parse import urlsplit

import pytest

from attncourse import questions
from attncourse.bookmaking import pdf, screenshots

pytestmark = pytest.mark.browser

# The first view of a chapter: all that a page loads before anyone acts.
MOST_BYTES = 1_000_000
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
# One page of each kind.
KINDS = [place.partition("?")[0] for place in screenshots.KINDS.values()]
DRAWING = re.compile(rb"<svg\b.*?</svg>", re.DOTALL)
# What reaches out of its page to the side, and does not scroll by itself.
WIDE = """() => {
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= wide) return [];
    return [...document.querySelectorAll("main *")].filter((each) =>
        each.getBoundingClientRect().right > wide + 1).map((each) =>
        each.localName + "." + each.className).slice(0, 5);
}"""


def packed(response):
    """Return how many bytes a good server sends for a response."""
    return len(gzip.compress(response.body()))


def test_the_first_view_of_a_chapter_is_light(page, site):
    got = {}
    page.on("response", lambda each: got.setdefault(each.url, each))
    for unit in questions.UNITS:
        got.clear()
        page.goto(f"{site}{questions.stem(unit)}.html")
        page.evaluate("MathJax.startup.promise.then(() => 0)")
        page.wait_for_load_state("networkidle")
        assert page.locator("mjx-container").count() > 20
        sizes = {url: packed(each) for url, each in got.items()}
        # Figures are part of the page's text here, and are not counted.
        text = page.context.request.get(page.url).body()
        sizes[page.url] = len(gzip.compress(DRAWING.sub(b"", text)))
        assert sum(sizes.values()) < MOST_BYTES, (unit, sizes)
        names = [urlsplit(url).path.rpartition("/")[2] for url in sizes]
        assert not {"fontawesome.js", "searchindex.js"} & set(names)


def test_search_finds_prose_formulas_and_code_from_any_page(page, site):
    page.goto(f"{site}library/heads.html")
    field = page.locator("dialog.find input")
    first = page.locator(".find-results li:has(a)").first
    page.keyboard.press("Control+k")
    for words, title, place in (
        ("attention_weights", "attention_weights", "library/dense.html#"),
        ("Jacobian", "acobian", "02_softmax.html#"),
        ("rotary", "otary", "07_positions.html#"),
        ("bandwidth", "andwidth", "01_lookup.html#"),
    ):
        field.fill(words)
        hit = page.locator(".find-results a", has_text=title)
        hit.first.wait_for()
        places = hit.evaluate_all("all => all.map((each) => each.href)")
        assert any(place in each for each in places), (words, places)
    # A section is shown with its chapter, and opens by keyboard alone.
    assert first.locator(".find-page").inner_text()
    page.keyboard.press("ArrowDown")
    goal = first.locator("a").get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(goal)
    assert page.locator(f"[id='{urlsplit(goal).fragment}']").count() == 1


def test_the_search_page_takes_words_from_its_address(page, site):
    page.goto(f"{site}search.html?q=softmax")
    page.locator(".find-results a").first.wait_for()
    status = page.locator(".bd-search-container .find-status")
    assert "sections" in status.inner_text()


def test_every_icon_is_in_the_small_font(page, site, built_book):
    shown = set()
    for file in built_book.rglob("*.html"):
        shown |= set(re.findall(r"\bfa-([a-z-]+)", file.read_text("utf-8")))
    shown -= {"solid", "lg"}
    page.goto(f"{site}04_dense.html")
    said = page.evaluate(
        """names => Object.fromEntries(names.map((name) => {
            const icon = document.createElement("i");
            icon.className = `fa-solid fa-${name}`;
            document.body.append(icon);
            const look = getComputedStyle(icon, "::before").content;
            return [name, [look, icon.getBoundingClientRect().width]];
        }))""",
        sorted(shown),
    )
    for name, (sign, width) in said.items():
        assert re.match(r'"[\ue000-\uf8ff]"', sign), name
        assert width > 3, name


@pytest.mark.profile(**PHONE)
def test_a_phone_scrolls_only_downwards(page, site):
    for kind in KINDS:
        page.goto(f"{site}{kind}")
        if page.locator(".math").count():
            page.evaluate("window.MathJax?.startup.promise.then(() => 0)")
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate(WIDE) == [], (kind, width)


@pytest.mark.profile(viewport={"width": 1280, "height": 800})
def test_one_screen_says_where_to_start_and_shows_the_course(page, site):
    page.goto(f"{site}index.html")
    start = page.locator(".course-start a").first
    links = page.locator(".course-map a")
    assert links.count() == len(questions.UNITS)
    box = links.last.bounding_box()
    assert box["y"] + box["height"] < 800
    # On a phone, too, the first screen holds what it is and the way in.
    page.set_viewport_size({"width": 390, "height": 844})
    assert start.bounding_box()["y"] < 600
    start.click()
    page.wait_for_url(f"{site}01_lookup.html")
    head = page.locator(".chapter-facts")
    assert "minutes" in head.inner_text()
    with page.expect_download() as download:
        head.locator("a[download]").click()
    assert download.value.suggested_filename == "lookup.ipynb"


@pytest.mark.profile(color_scheme="dark")
def test_the_theme_follows_the_system_until_the_reader_chooses(page, site):
    page.goto(f"{site}notation.html", wait_until="commit")
    page.wait_for_selector("body")
    look = "document.documentElement.dataset.theme"
    assert page.evaluate(look) == "dark"
    page.wait_for_load_state()
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"{look} === 'light'")
    switch = page.locator(".theme-switch-button:visible").first
    for _ in range(3):
        switch.click()
        if page.evaluate("document.documentElement.dataset.mode") == "dark":
            break
    page.reload()
    assert page.evaluate(look) == "dark"


@pytest.mark.slow
def test_the_book_prints_with_contents_and_bookmarks(built_book, tmp_path):
    from pypdf import PdfReader

    target = tmp_path / "book.pdf"
    count = pdf.make(built_book, target)
    reader = PdfReader(io.BytesIO(target.read_bytes()))
    assert len(reader.pages) == count > 100
    chapters = [each for each in reader.outline if not isinstance(each, list)]
    titles = [each.title for each in chapters]
    assert titles[1:8] == [
        f"{n}. {title}"
        for n, title in enumerate(
            (
                *("Lookup", "Softmax", "Scores", "Dense attention"),
                *("Masks", "Heads", "Positions"),
            ),
            1,
        )
    ]
    # The contents name the page on which a chapter does begin.
    page = reader.get_destination_page_number(chapters[4])
    assert "Dense attention" in reader.pages[page].extract_text()[:200]
    contents = "".join(each.extract_text() for each in reader.pages[1:5])
    assert re.search(rf"4\. Dense attention\s*{page + 1}\b", contents)
    assert "\\softmax" not in reader.pages[page + 1].extract_text()
