"""Every page can be used without seeing it, and without a mouse."""

from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from prose import ROOT

pytestmark = pytest.mark.browser
AUDIT = (Path(__file__).parent / "axe_audit.js").read_text("utf-8")
AT_REST = "* { transition: none !important; }"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
CHAPTERS = sorted(file.stem for file in (ROOT / "book").glob("[0-9]*.md"))
OTHERS = sorted(
    {file.stem for file in (ROOT / "book").glob("*.md")} - set(CHAPTERS)
)
# One of each kind; the long version asks every page.
MADE = [
    *("search", "genindex", "library/kernels", "library/dense"),
    *("_modules/index", "_modules/attncourse/reference/dense"),
]
# Where the focus is, how it is shown, and whether it can be seen.
FOCUS = """
() => {
    const it = document.activeElement;
    if (!it || it === document.body) return null;
    // A menu's arrow has no size of its own.
    const shown = it.querySelector(":scope > .toctree-toggle") ?? it;
    const style = getComputedStyle(shown);
    const outline = style.outlineStyle !== "none"
        && parseFloat(style.outlineWidth) >= 1;
    const at = shown.getBoundingClientRect();
    globalThis.numbers ??= new Map();
    if (!numbers.has(it)) numbers.set(it, numbers.size);
    return {
        number: numbers.get(it),
        name: it.outerHTML.slice(0, 120),
        marked: outline || style.boxShadow !== "none",
        seen: at.bottom > 0 && at.top < innerHeight && at.right > 0
            && at.left < innerWidth && at.width > 0,
        text: it.textContent.trim().slice(0, 40),
        inEditor: !!it.closest(".cm-editor"),
    };
}
"""


def audit(page, *, everything=False):
    """Return what axe-core finds on an open page, in light and dark."""
    page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
    # Colours that are on their way from one theme to the other are none.
    page.add_style_tag(content=AT_REST)
    page.evaluate(AXE_SCRIPT)
    options = {"tags": TAGS, "everything": everything}
    return page.evaluate(AUDIT, options)


@pytest.mark.parametrize("name", [*CHAPTERS, *OTHERS, *MADE])
def test_axe_finds_nothing_on_a_page_in_light_and_dark(page, site, name):
    page.goto(f"{site}{name}.html")
    assert audit(page) == []


FAULTS = """
() => {
    const rows = document.querySelectorAll(".bd-article p");
    rows[rows.length - 1].innerHTML += '<span style="color: #999">faint</span>'
        + '<img src="none.png"><button></button>';
    document.head.insertAdjacentHTML("beforeend",
        "<style>[data-theme=dark] .k { color: #555 !important }</style>");
}
"""


def test_the_audit_sees_what_is_wrong(page, site):
    page.goto(f"{site}05_masks.html")
    page.evaluate(FAULTS)
    said = "\n".join(audit(page))
    for fault in (
        "image-alt |",
        "button-name |",
        "light: color-contrast",
        "dark: color-contrast",
        "faint",
        'class="k"',
    ):
        assert fault in said


@pytest.mark.slow
def test_axe_finds_nothing_on_any_page_there_is(page, site, built_book):
    found = {}
    for file in sorted(built_book.rglob("*.html")):
        name = file.relative_to(built_book).as_posix()
        if not name.startswith(("_static/", "_live/", "pagefind/")):
            page.goto(site + name)
            # Listings are many, and alike.
            thinned = name.startswith("_modules/")
            found[name] = audit(page, everything=not thinned)
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.profile(viewport={"width": 390, "height": 800})
@pytest.mark.parametrize(
    "name", ["04_dense", "library/linear", "errata", "genindex"]
)
def test_axe_finds_nothing_on_a_phone(page, site, name):
    page.goto(f"{site}{name}.html")
    assert audit(page) == []


def test_tab_walks_through_a_page_and_the_focus_is_always_seen(page, site):
    page.goto(f"{site}05_masks.html")
    page.wait_for_selector("html[data-symbols=ready]")
    page.add_style_tag(content=AT_REST)
    page.keyboard.press("Tab")
    first = page.evaluate(FOCUS)
    assert "main content" in first["text"]
    seen, faults = {first["number"]}, []
    for _ in range(600):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUS)
        if now is None:
            break
        if now["number"] in seen:
            faults.append(("again", now))
            break
        seen.add(now["number"])
        if not now["marked"] or not now["seen"]:
            faults.append(("hidden", now))
    assert faults == []
    # Round once: the last link of the page was reached.
    assert now is None
    last = page.locator("a[href]:visible").last
    assert last.evaluate("it => numbers.has(it)")


def test_menus_dialogs_and_switches_work_by_keyboard(page, site):
    page.goto(f"{site}05_masks.html")
    # The skip link leads past the menu.
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    inside = "() => !!document.activeElement.closest('main')"
    assert page.evaluate(inside)
    # The theme's switch.
    before = page.evaluate("document.documentElement.dataset.mode")
    page.locator("button.theme-switch-button:visible").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.mode") != before
    # A menu's arrow, a box that opens, and back.
    for opener in (".bd-sidebar-primary details", "main details"):
        arrow = page.locator(f"{opener} > summary").first
        was = arrow.evaluate("it => it.parentElement.open")
        arrow.focus()
        page.keyboard.press("Enter")
        assert arrow.evaluate("it => it.parentElement.open") != was
    # Search.
    page.locator("button.search-button__button:visible").first.focus()
    page.keyboard.press("Enter")
    typed = "() => document.activeElement.matches('input')"
    page.wait_for_function(typed)
    page.keyboard.press("Escape")
    page.wait_for_function(f"() => !({typed})()")
