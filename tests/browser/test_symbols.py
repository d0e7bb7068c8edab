"""Pointing at a letter of a formula shows what it means, and its shape."""

import pytest

pytestmark = pytest.mark.browser
BOX = "#course-symbol-box"
# The first formula of unit 04 that stands on a line of its own.
SHOWN = "mjx-container[display=true]"
LETTERS = """
formula => [...formula.querySelectorAll("mjx-math mjx-mi")].map(letter => {
    letter.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
    const box = document.getElementById("course-symbol-box");
    const said = box.hidden ? "" : box.textContent;
    document.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"}));
    return said;
})
"""


@pytest.fixture
def unit(page, site):
    """Return a function that opens a chapter and waits for its letters."""

    def opened(name):
        page.goto(f"{site}{name}.html")
        page.wait_for_selector("html[data-symbols=ready]")
        return page

    return opened


def first_known(page, within=".bd-article"):
    """Return the place of the first query's letter on the page."""
    letter = page.locator(f"{within} mjx-mi.course-query").first
    letter.scroll_into_view_if_needed()
    return letter


def test_a_letter_is_explained_by_mouse_and_by_keyboard(unit):
    page = unit("04_dense")
    box = page.locator(BOX)
    assert box.is_hidden()
    letter = first_known(page)
    # By mouse: it can be pointed at itself, and Escape takes it away.
    letter.hover()
    assert "query" in box.inner_text()
    assert "Shape: (dim,)" in box.inner_text()
    box.hover()
    page.wait_for_timeout(500)
    assert box.is_visible()
    page.keyboard.press("Escape")
    assert box.is_hidden()
    letter.hover()
    assert box.is_visible()
    page.mouse.move(5, 5)
    box.wait_for(state="hidden")
    # By keyboard: the formula is a stop, arrows walk on, even to the next.
    formula = page.locator(SHOWN).nth(1)
    formula.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(40):
        page.keyboard.press("ArrowRight")
        if not formula.evaluate("it => it === document.activeElement"):
            break
    assert not formula.evaluate("it => it === document.activeElement")
    assert box.is_visible()
    page.keyboard.press("ArrowLeft")
    assert formula.evaluate("it => it === document.activeElement")
    last = box.inner_text()
    page.keyboard.press("Home")
    first = box.inner_text()
    page.keyboard.press("ArrowRight")
    assert box.inner_text() != first
    page.keyboard.press("End")
    assert box.inner_text() == last
    told = page.locator(".course-symbol-told").inner_text()
    assert "".join(told.split()) == "".join(box.inner_text().split())
    page.keyboard.press("Escape")
    assert box.is_hidden()
    assert formula.evaluate("it => it === document.activeElement")


def test_a_page_has_few_stops_for_its_formulas(unit):
    page = unit("06_heads")
    stops = page.locator(".bd-article mjx-container[tabindex='0']").count()
    assert 4 <= stops <= 40 < page.locator("mjx-container").count()


@pytest.mark.parametrize(
    ("name", "formula", "said"),
    [
        ("01_lookup", "h", "the bandwidth of a kernel"),
        ("03_scores", "d_h", ""),
        ("06_heads", "h", "the number of heads"),
        ("07_positions", "m_h", "the slope of a head"),
    ],
)
def test_a_letter_never_shows_another_units_meaning(unit, name, formula, said):
    page = unit(name)
    heard = page.evaluate(
        f"""formula => {{
            const letters = [...formula].filter(each => each !== "_");
            const plain = node => [...node.querySelectorAll("mjx-mi mjx-c")]
                .map(c => String.fromCodePoint(
                    parseInt(/mjx-c([0-9A-F]+)/.exec(c.className)[1], 16)))
                .join("").normalize("NFKC");
            const found = [...document.querySelectorAll(
                ".bd-article mjx-container")]
                .find(each => plain(each) === letters.join(""));
            return ({LETTERS})(found);
        }}""",
        formula,
    )
    assert said in heard[0]
    assert heard[0] or not said
    assert not any(heard[1:])


@pytest.mark.profile(
    viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
)
def test_a_touch_near_a_letter_explains_it_within_the_window(unit):
    page = unit("04_dense")
    at = first_known(page).bounding_box()
    page.touchscreen.tap(at["x"] + at["width"] + 6, at["y"] + 4)
    box = page.locator(BOX)
    box.wait_for()
    place = box.bounding_box()
    assert place["x"] >= 0
    assert place["x"] + place["width"] <= 390
    page.touchscreen.tap(5, 400)
    box.wait_for(state="hidden")
