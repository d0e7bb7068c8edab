"""The book computes its numbers, cites what exists and links what is there."""

import importlib.resources
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import prose
import pytest
import yaml
from prose import BOOK, ROOT

from attncourse import ledger, questions
from attncourse.checking import Question

UNITS = [questions.stem(unit) for unit in questions.UNITS]
PAGES = {page.stem: page for page in prose.chapters()}
TEXTS = {name: page.read_text("utf-8") for name, page in PAGES.items()}
# The documents' errors that Part I corrects.
PART_ONE = {
    *("e01", "e02", "e03", "e04", "e05", "e07", "e08", "e12", "e15"),
    *("e17", "e18", "e21", "e22", "e23", "e25", "e26", "e27", "e28", "e29"),
}
each_page = pytest.mark.parametrize("name", TEXTS)
each_unit = pytest.mark.parametrize("stem", UNITS)


# The sources.


@each_page
def test_every_number_in_prose_is_computed(name):
    assert prose.typed_numbers(TEXTS[name]) == []


@each_page
def test_no_word_belittles_the_reader(name):
    assert prose.banned_words(TEXTS[name]) == []


@each_page
def test_every_figure_says_what_it_shows(name):
    assert prose.without_words(TEXTS[name]) == []


@each_page
def test_listings_show_code_that_exists(name):
    assert prose.broken_listings(PAGES[name]) == []


@each_page
def test_numbers_have_names_of_their_own(name):
    names = [
        call.args[0].value
        for call in prose.calls(TEXTS[name], "number")
        if hasattr(call.args[0], "value")
    ]
    assert [n for n, times in Counter(names).items() if times > 1] == []


@each_page
def test_the_packages_functions_are_shown_not_pasted(name):
    own = set()
    for file in (ROOT / "attncourse" / "reference").glob("*.py"):
        own |= {thing for thing in prose._objects(file) if thing[0] != "_"}
    # A chapter's own wrong or naive version needs a name of its own.
    pasted = set(re.findall(r"^def (\w+)", TEXTS[name], re.MULTILINE))
    assert pasted & own == set()


def test_citations_exist_and_every_entry_is_cited():
    known = prose.bibliography((BOOK / "references.bib").read_text("utf-8"))
    assert len(set(known)) == len(known)
    cited = set().union(*map(prose.citations, TEXTS.values()))
    titles = ledger.bibliography((BOOK / "references.bib").read_text("utf-8"))
    assert set(titles) == set(known)
    for entry in ledger.entries():
        cited |= set(ledger.keys_of(entry.source, titles).values())
    assert cited - set(known) == set()
    assert set(known) - cited == set()


def test_labels_are_unique_in_the_whole_book():
    found = Counter(
        label for text in TEXTS.values() for label in prose.labels(text)
    )
    assert [label for label, times in found.items() if times > 1] == []


def test_the_documents_errors_of_part_one_are_corrected():
    found = {
        label
        for text in TEXTS.values()
        for label in prose.labels(text)
        if re.fullmatch(r"e\d\d", label)
    }
    assert PART_ONE - found == set()


def test_every_page_is_in_the_table_of_contents():
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text("utf-8"))
    listed = [toc["root"]] + [
        chapter["file"]
        for part in toc["parts"]
        for chapter in part["chapters"]
    ]
    assert sorted(listed) == sorted(PAGES)


@each_unit
def test_a_unit_has_one_stem_in_every_folder(stem):
    unit = stem.partition("_")[2]
    for path in (
        f"attncourse/reference/{unit}.py",
        f"attncourse/questions/{unit}/__init__.py",
        f"book/{stem}.md",
        f"solutions/{stem}/{unit}.py",
        f"exercises/{stem}/{unit}.ipynb",
        f"tests/reference/test_{unit}.py",
    ):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("folder", ["book", "solutions", "exercises"])
def test_no_folder_has_a_unit_of_its_own(folder):
    numbered = {
        path.stem
        for path in (ROOT / folder).iterdir()
        if re.match(r"\d\d_", path.name)
    }
    assert numbered <= set(UNITS)


@each_unit
def test_every_mistake_is_shown_in_its_section(stem):
    for question_id in questions.ids(stem.partition("_")[2]):
        question = questions.load(question_id)
        if not isinstance(question, Question):
            continue
        for each in question.misconceptions:
            home = questions.stem(each.section.partition("-")[0])
            assert each.section in prose.labels(TEXTS[home]), each.name


@each_unit
def test_every_error_that_a_mistake_names_is_in_the_errata(stem):
    known = {label for text in TEXTS.values() for label in prose.labels(text)}
    for question_id in questions.ids(stem.partition("_")[2]):
        question = questions.load(question_id)
        for each in getattr(question, "misconceptions", ()):
            assert each.error is None or each.error.lower() in known


@each_unit
def test_a_chapter_has_the_bones_of_one(stem):
    text, unit = TEXTS[stem], stem.partition("_")[2]
    assert f'fig.mistakes("{unit}")' in text
    assert "ou will be able to" in text
    assert re.search(r"^## .*read next", text, re.MULTILINE | re.IGNORECASE)
    assert re.search(r"^## .*ledger", text, re.MULTILINE | re.IGNORECASE)
    assert any(f"reference/{unit}" in path for path, _ in prose.listings(text))
    assert len(prose.shows(text)) >= 3
    assert prose.citations(text)
    assert "digits" in text


# The built pages.


class Page(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.silent = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if values.get("id"):
            self.ids.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in ("script", "img", "iframe") and "src" in values:
            self.loads.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "preload"):
            self.loads.append(values["href"])
        if tag == "img" and not values.get("alt", "").strip():
            self.silent.append(values.get("src", "")[:60])
        if values.get("role") == "img" and not values.get("aria-label"):
            self.silent.append(tag)


@pytest.fixture(scope="session")
def pages(built_book):
    """Return the parsed pages of the built book by file name."""
    return {
        file.name: Page(file.read_text("utf-8"))
        for file in built_book.glob("*.html")
    }


def dangling(pages, built_book):
    """Return (page, link) for internal links that lead nowhere."""
    out = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = unquote(parts.path) or name
            anchor = unquote(parts.fragment)
            if target in pages:
                known = not anchor or anchor in pages[target].ids
            else:
                known = (built_book / target).is_file()
            if not known:
                out.append((name, link))
    return out


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    samples = {"a.html": Page('<a href="b.html#x"></a><a href="#y"></a>')}
    samples["b.html"] = Page('<p id="x"></p><a href="c.html"></a>')
    found = dangling(samples, tmp_path)
    assert found == [("a.html", "#y"), ("b.html", "c.html")]


def test_every_internal_link_leads_somewhere(pages, built_book):
    assert dangling(pages, built_book) == []


def test_no_page_loads_anything_from_the_network(pages):
    for name, page in pages.items():
        away = [each for each in page.loads if "//" in each]
        assert [e for e in away if not e.startswith("data:")] == [], name


def test_every_picture_has_words(pages):
    assert {n: p.silent for n, p in pages.items() if p.silent} == {}


@each_unit
def test_a_built_chapter_shows_no_error_and_no_missing_number(
    stem, built_book
):
    text = (built_book / f"{stem}.html").read_text("utf-8")
    assert "system-message" not in text
    assert "Traceback (most recent call last)" not in re.sub(
        r"<pre>.*?</pre>", "", text, flags=re.DOTALL
    )
    words = re.sub(r"<(pre|code)\b.*?</\1>", "`", text, flags=re.DOTALL)
    assert re.findall(r"\{(?:\.[\w-]+|[\w:]+)\}(?=`|<)|glue:", words) == []


def test_the_errata_link_to_every_correction(pages):
    page = pages["errata.html"]
    for label in PART_ONE:
        assert f"error-{label}" in page.ids
        assert any(link.endswith(f"#{label}") for link in page.links)


@pytest.mark.browser
def test_mathematics_appears_without_any_network(built_book):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    done = subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu"),
            "--host-resolver-rules=MAP * ~NOTFOUND",
            *("--virtual-time-budget=20000", "--dump-dom"),
            (built_book / f"{UNITS[0]}.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "<mjx-container" in done.stdout
    assert "course-query" in done.stdout
    assert "<mjx-merror" not in done.stdout


def test_the_package_data_reach_every_installation():
    files = importlib.resources.files("attncourse").joinpath("data")
    assert {"digits.npz", "README.md"} <= {f.name for f in files.iterdir()}
