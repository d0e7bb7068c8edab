"""Explorers answer mouse and keyboard, and compute what the package does."""

import numpy as np
import pytest
from playwright.sync_api import expect

from attncourse.explorers import reading, scaling, temperature
from attncourse.reference.dense import attention
from attncourse.reference.scores import scaled_scores
from attncourse.reference.softmax import (
    entropy,
    softmax,
    softmax_jacobian,
    softmax_with_temperature,
)

pytestmark = pytest.mark.browser
PAGES = {
    "temperature": "02_softmax",
    "scaling": "03_scores",
    "reading": "04_dense",
}
PHONE = {"width": 390, "height": 844}


def opened(page, site, name):
    """Open an explorer's page, and return the explorer once it is ready."""
    page.goto(f"{site}{PAGES[name]}.html")
    page.wait_for_selector(f"#explorer-{name}[data-ready]")
    return page.locator(f"#explorer-{name}")


def numbers(explorer):
    """Return what the explorer shows, unrounded."""
    return explorer.evaluate("(e) => ({...e.state, ...e.numbers})")


def drag(page, drawing, start, end):
    """Press at one point of a drawing and let go at another."""
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    page.mouse.move(box["x"] + start[0], box["y"] + start[1])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0], box["y"] + end[1], steps=3)
    page.mouse.up()


def agree_with_the_reference(shown):
    right = temperature.summary(shown["scores"], shown["temperature"])
    np.testing.assert_allclose(shown["weights"], right["weights"], atol=1e-12)
    np.testing.assert_allclose(shown["entropy"], right["entropy"], atol=1e-12)
    np.testing.assert_allclose(
        shown["jacobian"], right["jacobian"], rtol=1e-9, atol=1e-12
    )


def test_temperature_follows_keyboard_mouse_and_printer(page, site):
    explorer = opened(page, site, "temperature")
    agree_with_the_reference(numbers(explorer))
    slider = explorer.get_by_role("slider")
    summary = explorer.locator(".explorer-summary")

    slider.focus()
    page.keyboard.press("Home")
    shown = numbers(explorer)
    agree_with_the_reference(shown)
    assert shown["temperature"] == temperature.COLDEST
    assert slider.get_attribute("aria-valuetext") == "0.05"
    expect(summary).to_contain_text("saturated")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    shown = numbers(explorer)
    agree_with_the_reference(shown)
    assert temperature.HOTTEST / 1.1 < shown["temperature"] < 50
    assert shown["entropy"] > 0.99 * np.log(4)

    # Two keys in the first place: the derivative has no bound in the cold.
    box = explorer.get_by_label("Score of k2")
    box.fill("2")
    slider.focus()
    page.keyboard.press("Home")
    shown = numbers(explorer)
    assert shown["scores"] == [2, 2, 0, -1]
    agree_with_the_reference(shown)
    assert shown["jacobian"] == pytest.approx(0.5 / temperature.COLDEST)
    expect(summary).to_contain_text("k1 and k2 have the largest weight, 0.50")
    expect(summary).to_contain_text("the smallest difference of scores")
    # Half a number, or one out of range, is not taken.
    box.fill("77")
    assert numbers(explorer)["scores"] == [2, 2, 0, -1]
    box.press("Tab")
    assert box.input_value() == "2"

    bars, charts = explorer.get_by_role("img").all()
    drag(page, bars, (30, 43), (60, 43))
    moved = numbers(explorer)
    assert moved["scores"][0] not in (2, -5)
    assert moved["scores"][1:] == [2, 0, -1]
    agree_with_the_reference(moved)
    said = bars.get_attribute("aria-label")
    score = f"{moved['scores'][0]:.1f}".replace("-", "\N{MINUS SIGN}")
    assert f"k1: score {score}, weight" in said
    # The weights are no handle.
    drag(page, bars, (bars.bounding_box()["width"] * 0.6, 43), (30, 43))
    assert numbers(explorer)["scores"] == moved["scores"]
    drag(page, charts, (120, 80), (170, 80))
    warmer = numbers(explorer)
    assert warmer["temperature"] > temperature.COLDEST
    agree_with_the_reference(warmer)

    explorer.get_by_role("button", name="Start again").click()
    shown = numbers(explorer)
    assert shown["scores"] == temperature.SCORES
    assert box.input_value() == "1"

    # On paper the still figure stands in for the live one.
    live = explorer.locator(".explorer-live")
    still = explorer.locator(".explorer-still")
    assert (live.is_visible(), still.is_visible()) == (True, False)
    page.emulate_media(media="print")
    assert (live.is_visible(), still.is_visible()) == (False, True)


def test_the_formulas_in_the_page_are_those_of_the_package(page, site):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}index.html")
    # A page without an explorer loads none of it.
    assert asked
    assert not [url for url in asked if "_explorers" in url]
    rng = np.random.default_rng(11)
    rows = [
        *(scale * rng.normal(size=7) for scale in (0.1, 1, 30)),
        np.array([1000.0, 999.0, -1000.0]),
        np.array([-1e6, -1e6]),
        np.array([3.0]),
    ]
    temperatures = [0.05, 1.0, 50.0]
    q, k, v = (rng.normal(size=size) for size in [(3, 5), (7, 5), (7, 2)])
    found = page.evaluate(
        """async ([address, rows, temperatures, q, k, v]) => {
          const m = await import(address);
          const scores = m.scaledScores(q, k);
          const weights = scores.map((row) => m.softmax(row));
          return {
            rows: rows.map((row) => temperatures.map((t) => {
              const a = m.softmax(row, t);
              return [a, m.entropy(a), m.jacobianSize(a)];
            })),
            scores, output: m.matmul(weights, v),
          };
        }""",
        [
            f"{site}_explorers/maths.js",
            [row.tolist() for row in rows],
            temperatures,
            *(each.tolist() for each in (q, k, v)),
        ],
    )
    for row, each in zip(rows, found["rows"], strict=True):
        for t, (a, spread, size) in zip(temperatures, each, strict=True):
            right = softmax_with_temperature(row, temperature=t)
            np.testing.assert_allclose(a, right, rtol=1e-12, atol=1e-300)
            assert spread == pytest.approx(entropy(right), abs=1e-12)
            slope = np.linalg.norm(softmax_jacobian(right))
            assert size == pytest.approx(slope, rel=1e-9, abs=1e-15)
    np.testing.assert_allclose(found["scores"], scaled_scores(q, k))
    np.testing.assert_allclose(found["output"], attention(q, k, v))


def test_reading_links_a_word_its_row_and_what_it_mixes(page, site):
    explorer = opened(page, site, "reading")
    shown, right = numbers(explorer), reading.summary()
    for name in ("scores", "weights", "output"):
        np.testing.assert_allclose(shown[name], right[name], atol=1e-12)
    tables, mix = explorer.get_by_role("img").all()
    start = reading.START
    # By keyboard: the arrow keys choose the next word.
    explorer.get_by_role("radio", name=reading.TOKENS[start]).focus()
    page.keyboard.press("ArrowRight")
    assert numbers(explorer)["query"] == start + 1
    token = reading.TOKENS[start + 1]
    assert f"In the row of {token}, the scores" in tables.get_attribute(
        "aria-label"
    )
    said = mix.get_attribute("aria-label")
    for weight, other in zip(
        right["weights"][start + 1], reading.TOKENS, strict=True
    ):
        assert f"{weight:.2f} of {other}" in said
    # Following a key says how the pair's score comes about.
    explorer.get_by_label("Follow one key").select_option("hat")
    summary = explorer.locator(".explorer-summary")
    expect(summary).to_contain_text("3 \N{MULTIPLICATION SIGN} 3")
    assert "= 4.5, weight 0.95" in summary.inner_text()
    assert mix.locator(".dashed").count() == 1

    # A mouse that rests on a word shows it, and leaving takes it back.
    explorer.get_by_text("gave", exact=True).first.hover()
    assert numbers(explorer)["over"] == {"query": 1}
    page.mouse.move(2, 2)
    assert numbers(explorer)["over"] is None
    assert numbers(explorer)["query"] == start + 1
    # What is chosen counts, wherever the mouse was left.
    explorer.get_by_text("gave", exact=True).first.hover()
    explorer.get_by_role("radio", name=token).focus()
    page.keyboard.press("ArrowLeft")
    assert numbers(explorer)["query"] == start
    # A cell is a pair; a press keeps it.
    box = tables.bounding_box()
    place = tables.locator("rect.grid").nth(6 * 1 + 2).bounding_box()
    tables.click(
        position={
            "x": place["x"] - box["x"] + 9,
            "y": place["y"] - box["y"] + 9,
        }
    )
    page.mouse.move(2, 2)
    shown = numbers(explorer)
    assert (shown["query"], shown["key"]) == (1, 2)


def test_scaling_shows_the_package_s_draws(page, site):
    explorer = opened(page, site, "scaling")
    facts = scaling.summary()
    last = len(scaling.WIDTHS) - 1
    slider = explorer.get_by_role("slider")
    slider.focus()
    page.keyboard.press("End")
    for name, choice, divisor in (
        ("none", "not at all", 1.0),
        ("root", "by \N{SQUARE ROOT}d", np.sqrt(scaling.WIDTHS[-1])),
        ("width", "by d", scaling.WIDTHS[-1]),
    ):
        explorer.get_by_role("radio", name=choice).first.check()
        shown = numbers(explorer)
        for fact in ("variance", "peak", "sure", "slope", "counts"):
            assert shown[fact] == facts[name][last][fact]
        row = np.array(facts["examples"][last][0]) / divisor
        np.testing.assert_allclose(shown["weights"], softmax(row))
    words = explorer.locator(".explorer-summary")
    expect(words).to_contain_text("Width 128, over d")
    explorer.get_by_role("button", name="Another query").press("Enter")
    row = np.array(facts["examples"][last][1]) / scaling.WIDTHS[-1]
    np.testing.assert_allclose(numbers(explorer)["weights"], softmax(row))
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert numbers(explorer)["width"] == scaling.WIDTHS[-2]
    assert slider.get_attribute("aria-valuetext") == "64"


# What a look at a phone would find, in one call.
LOOK = """(explorer) => {
  const style = (e) => getComputedStyle(e);
  const box = (e) => e.getBoundingClientRect();
  const live = explorer.querySelector(".explorer-live");
  const drawings = [...live.querySelectorAll("svg")];
  return {
    page: document.documentElement.scrollWidth,
    drawings: drawings.map((svg) => ({
      words: svg.getAttribute("aria-label"),
      units: svg.viewBox.baseVal.width, pixels: box(svg).width,
    })),
    texts: drawings.flatMap((svg) => [...svg.querySelectorAll("text")]
      .map((e) => [e.textContent, box(e).left, box(e).right])),
    inks: [...live.querySelectorAll("svg text")]
      .map((e) => style(e).fill),
    ground: style(explorer).backgroundColor,
    controls: [...live.querySelectorAll("input, button, select")]
      .map((e) => ({
        target: Math.max(box(e).height, ...[...(e.labels ?? [])]
          .map((label) => box(label).height)),
        name: e.labels?.[0]?.textContent ?? e.textContent,
      })),
  };
}"""


@pytest.mark.profile(color_scheme="dark", viewport=PHONE, has_touch=True)
@pytest.mark.parametrize("name", PAGES)
def test_on_a_dark_phone_nothing_is_cut_off_or_unnamed(page, site, name):
    found = opened(page, site, name).evaluate(LOOK)
    assert found["page"] <= PHONE["width"]
    for drawing in found["drawings"]:
        assert len(drawing["words"].split()) > 10
        assert drawing["units"] == pytest.approx(drawing["pixels"], abs=1)
    for words, left, right in found["texts"]:
        assert left >= 0, words
        assert right <= PHONE["width"], words
    assert bright(found["ground"]) < 60
    assert min(map(bright, found["inks"])) > 120
    for control in found["controls"]:
        assert control["target"] >= 24, control
        assert control["name"].strip(), control


def bright(colour):
    """Return how bright a colour of a computed style is, 0 to 255."""
    inside = colour[colour.index("(") + 1 : -1].split(",")[:3]
    return sum(float(part) for part in inside) / 3


@pytest.mark.profile(java_script_enabled=False)
@pytest.mark.parametrize("name", PAGES)
def test_without_scripts_a_still_figure_stands_there(page, site, name):
    page.goto(f"{site}{PAGES[name]}.html")
    explorer = page.locator(f"#explorer-{name}")
    assert explorer.locator(".explorer-still svg").is_visible()
    assert explorer.locator(".explorer-live").count() == 0
    assert explorer.locator(".explorer-caption").is_visible()
