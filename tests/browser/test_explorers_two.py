"""Masks, heads, rotary positions and costs, moved by mouse and keyboard."""

import numpy as np
import pytest
from playwright.sync_api import expect

from attncourse import explorers
from attncourse.explorers import cost, heads, masks, rotary

pytestmark = pytest.mark.browser

PAGES = {
    "masks": "05_masks",
    "heads": "06_heads",
    "rotary": "07_positions",
    "cost": "04_dense",
}
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def open_explorer(page, site):
    """Return a function that opens a chapter at its explorer."""

    def opened(name):
        page.goto(f"{site}{PAGES[name]}.html", wait_until="domcontentloaded")
        found = page.locator(f"explore-{name}[data-ready]")
        found.scroll_into_view_if_needed()
        return found

    return opened


def numbers(found):
    """Return what the explorer has computed."""
    return found.evaluate("each => each.numbers")


def each_of(found, states):
    """Return what the explorer computes for each of several states."""
    return found.evaluate(
        """(each, states) => states.map((state) =>
        each.compute({ ...structuredClone(each.state), ...state }))""",
        states,
    )


def says(found, words):
    """Wait until the explorer's words hold these."""
    expect(found.locator(".explorer-summary")).to_contain_text(words)


def random_steps(rng):
    steps = []
    for name in ("causal", "window", "prefix", "padding"):
        operator = rng.choice(["", "and", "or", "and not", "or not"])
        size = int(rng.integers(1, 9))
        steps.append({"pattern": name, "operator": operator, "size": size})
    return steps


def test_masks_are_composed_drawn_and_named(open_explorer, page):
    found = open_explorer("masks")
    rng = np.random.default_rng(3)
    composed = [random_steps(rng) for _ in range(40)]
    drawn = [
        {int(at): bool(rng.integers(2)) for at in rng.integers(64, size=3)}
        for _ in composed
    ]
    states = [
        {f"{each['pattern']}Operator": each["operator"] for each in steps}
        | {f"{each['pattern']}Size": each["size"] for each in steps}
        | {"edits": edits}
        for steps, edits in zip(composed, drawn, strict=True)
    ]
    found_numbers = each_of(found, states)
    for got, steps, edits in zip(found_numbers, composed, drawn, strict=True):
        used = [each for each in steps if each["operator"]]
        right = masks.summary(used, edits)
        assert got["mask"] == right["mask"], steps
        assert np.allclose(got["weights"], right["weights"], atol=1e-12)
        assert got["blind"] == right["blind"]
        # The line of Python makes the mask that is drawn, but for the edits.
        made = evaluated(got["expression"])
        assert np.array_equal(made, masks.composed(used))

    found.get_by_role("button", name="Start again").click()
    says(found, "This mask has a name: causal_mask(8, 8).")
    # By mouse: causal or padding is a prefix mask.
    found.get_by_label("padding (what is real)").select_option("or")
    says(found, "prefix_mask(8, 8, prefix=6)")
    found.get_by_label("keys of the padding pattern").press("ArrowLeft")
    says(found, "prefix_mask(8, 8, prefix=5)")
    found.get_by_label("padding (what is real)").select_option("left out")
    # By keyboard: the first query loses its only key.
    first = found.get_by_role("button", name="she sees she")
    first.focus()
    page.keyboard.press("Space")
    says(found, "Query 0, she, sees nothing: its weights are all zero.")
    expect(first).to_have_attribute("aria-pressed", "false")
    expect(found.locator(".masks-code")).to_contain_text("mask[0, 0] = False")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert (
        page.evaluate("document.activeElement.getAttribute('aria-label')")
        == "sees sees sees"
    )
    page.keyboard.press("End")
    assert found.locator("[aria-label='sees sees (pad) 7']:focus").count() == 1
    page.keyboard.press("Home")
    assert found.locator("[aria-label='sees sees she']:focus").count() == 1
    # By dragging: a row of the past is rubbed out, one place after another.
    cells = [
        found.get_by_role("button", name=f"the sees {word}", exact=True)
        for word in ("she", "sees", "the")
    ]
    cells[0].hover()
    page.mouse.down()
    for cell in [*cells[1:], cells[0]]:
        cell.hover()
    page.mouse.up()
    assert numbers(found)["blind"] == [0, 2]
    says(found, "Queries 0, she and 2, the, see nothing")
    found.get_by_role("button", name="Rub out the drawing").click()
    assert numbers(found)["blind"] == []


def random_sizes(rng):
    return {
        "tokens": int(rng.integers(1, 3000)),
        "width": int(2 ** rng.integers(6, 14)),
        "heads": int(2 ** rng.integers(6)),
        "window": int(2 ** rng.integers(4, 14)),
    }


def evaluated(expression):
    """Return the mask that a line of Python makes, from the package."""
    from attncourse.reference import masks as package

    names = {each: getattr(package, each) for each in package.__all__}
    made = eval(expression, {"np": np, **names})
    return np.broadcast_to(made, (8, 8))


def test_heads_are_cut_and_compared(open_explorer, page):
    found = open_explorer("heads")
    states = [
        {"heads": cut, "query": query}
        for cut in heads.HEADS
        for query in (0, 6)
    ]
    for got, state in zip(each_of(found, states), states, strict=True):
        right = heads.cut(state["heads"])
        weights = np.array(right["weights"])
        assert np.array_equal(got["rows"], weights[:, state["query"]])
        for name in ("parameters", "operations", "stored"):
            assert got[name] == right[name]
    found.get_by_role("button", name="Start again").click()
    says(found, "For barks, head 0 reads mostly cats")
    # By keyboard: two heads, another query.
    chosen = found.get_by_label("4 × 4", exact=True)
    chosen.focus()
    chosen.press("ArrowLeft")
    assert numbers(found)["heads"] == 2
    says(found, "2 × 8 has 1,024 parameters")
    expect(found.locator(".explorer-now")).to_contain_text("2 × 8")
    asked = found.get_by_label("barks", exact=True)
    asked.focus()
    asked.press("ArrowLeft")
    says(found, "For cats, ")
    assert found.locator(".heads-read tbody tr").count() == 2
    # By mouse: a row of a matrix is a query.
    found.locator('.heads-cell[data-row="1"]').first.hover()
    expect(found.get_by_label("dog", exact=True)).to_be_checked()
    says(found, "For dog, ")
    # What is chosen by keyboard counts, wherever the mouse lies.
    found.get_by_label("dog", exact=True).press("ArrowRight")
    says(found, "For that, ")
    page.wait_for_timeout(300)
    expect(found.get_by_label("that", exact=True)).to_be_checked()


def test_a_rotary_score_depends_on_the_distance_only(open_explorer):
    found = open_explorer("rotary")
    rng = np.random.default_rng(3)
    states = [
        {
            **dict(zip(("query", "key", "shift"), places, strict=True)),
            "base": float(rng.choice([10.0, 500.0, 1e4, 1e6])),
        }
        for places in rng.integers(65, size=(30, 3)).tolist()
    ]
    for got, state in zip(each_of(found, states), states, strict=True):
        distance = state["query"] - state["key"]
        at = state["query"] + state["shift"]
        right = rotary.summary(at, distance, state["base"])
        for name, value in right.items():
            assert np.allclose(got[name], value, rtol=1e-9, atol=1e-9), name
        far, score = got["curve"][64 + distance]
        assert far == distance
        assert np.isclose(score, right["score"], rtol=1e-9)
    found.get_by_role("button", name="Start again").click()
    before = numbers(found)
    both = found.get_by_role("slider", name="Move both by")
    both.focus()
    both.press("End")
    after = numbers(found)
    assert after["at"] == before["at"] + 1000
    assert np.isclose(after["score"], before["score"], rtol=1e-9)
    assert not np.allclose(after["query"], before["query"], atol=0.01)
    says(found, "every hand has turned and the score has not changed")
    found.get_by_role("slider", name="Key at").press("ArrowRight")
    says(found, "distance 4")
    assert not np.isclose(numbers(found)["score"], before["score"], atol=0.01)
    found.get_by_role("slider", name="Query at").press("End")
    says(found, "Pair 0 has gone round")
    found.get_by_role("slider", name="Base").press("Home")
    says(found, "All pairs have gone round at least once.")
    # By mouse: the middle of the chart of scores is distance zero.
    chart = found.locator("svg.explorer-draggable")
    box = chart.bounding_box()
    wide = box["width"] - 44 - 52
    chart.click(position={"x": 44 + wide / 2, "y": 100})
    says(found, "distance 0")


def test_costs_are_those_of_the_package_and_lines_cross_where_it_says(
    open_explorer,
):
    found = open_explorer("cost")
    rng = np.random.default_rng(3)
    states = [
        {"measure": measure, **random_sizes(rng)}
        for _ in range(3)
        for measure in cost.MEASURES
    ]
    # Lines that cross back and forth, a chunk further each time.
    back = {"tokens": 1000, "width": 64, "heads": 1, "window": 128}
    states.append({"measure": "operations", **back})
    lines = {f"line {each}": True for each in cost.MECHANISMS}
    states = [{**each, **lines} for each in states]
    for got, state in zip(each_of(found, states), states, strict=True):
        sizes = {each: state[each] for each in cost.START}
        right = cost.summary(state["measure"], sizes)
        assert got["now"].keys() == right.keys()
        for name, value in right.items():
            assert np.isclose(got["now"][name], value, rtol=1e-12), name
        for each in got["crossings"]:
            for beyond in (-1, 0, 1, 31, 40, 64, 5000):
                there = {**sizes, "tokens": each["tokens"] + beyond}
                values = cost.summary(state["measure"], there)
                gap = values[each["dearer"]] - values[each["cheaper"]]
                assert (gap > 0) == (beyond >= 0), (there, each)
    found.get_by_role("button", name="Start again").click()
    says(found, "At 1,024 tokens the least is “linear")
    listed = found.locator(".cost-crossings")
    expect(listed).to_contain_text(
        "From 257 tokens on, “causal window, in tiles” lies below "
        "“causal, in tiles”."
    )
    # By keyboard: longer, and the window twice as wide.
    found.get_by_role("slider", name="Tokens").press("ArrowRight")
    says(found, "At 2,048 tokens")
    found.get_by_role("slider", name="Window").press("ArrowRight")
    expect(listed).to_contain_text("From 513 tokens on, “causal window")
    # The legend takes lines away, and with them their crossings.
    assert found.locator('[data-line="window"]').count() == 1
    found.get_by_label("causal window, in tiles").uncheck()
    assert found.locator('[data-line="window"]').count() == 0
    expect(listed).not_to_contain_text("window")
    # In memory the slopes are two, one and none.
    found.get_by_label("Count").select_option(label=cost.MEASURES["kept"])
    rows = found.locator(".cost-table tbody tr")
    for name, times in [
        (cost.MECHANISMS["stored"][0], "4.00 times"),
        (cost.MECHANISMS["causal"][0], "2.00 times"),
        (cost.MECHANISMS["linear"][0], "1.00 times"),
    ]:
        expect(rows.filter(has_text=name)).to_contain_text(times)
    expect(found.get_by_label("projections, for comparison")).to_be_disabled()
    # By mouse: the left end of the chart is the shortest length.
    chart = found.locator("svg.explorer-draggable")
    chart.click(position={"x": 47, "y": 100})
    says(found, "At 16 tokens")


@pytest.mark.profile(
    viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True
)
def test_on_a_dark_phone_they_fit_and_on_paper_they_are_still(
    open_explorer, page
):
    for name in PAGES:
        found = open_explorer(name)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], name
        small = found.evaluate(
            """each => [...each.querySelectorAll("button, input, select")]
            .map(it => [it.getBoundingClientRect(), it.closest("span, div")
                        .getBoundingClientRect().height])
            .filter(([box, around]) => box.width &&
                    Math.max(box.height, around) < 24).length"""
        )
        assert small == 0, name
        if name == "masks":
            place = found.get_by_role("button", name="she sees sees")
            place.tap()
            expect(place).to_have_attribute("aria-pressed", "true")
        page.emulate_media(media="print")
        still = found.locator(".explorer-still svg")
        expect(still).to_be_visible()
        expect(found.locator(".explorer-live")).to_be_hidden()
        alt = still.get_attribute("aria-label")
        assert alt == explorers.load(name).ALT
        page.emulate_media(media="screen")
