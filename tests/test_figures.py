"""Figures can be read by everybody, in light and dark."""

import itertools
import re
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from attncourse import figures as fig
from attncourse import questions
from attncourse.checking import Misconception
from attncourse.equivalences import TABLE, Equivalence
from attncourse.figures import page, style, ties
from attncourse.figures.draw import contrast

CSS = Path(__file__).parents[1] / "book" / "_static" / "course.css"
MEANING = ("query", "key", "value", "output")
# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
BLINDNESS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "none": np.eye(3).tolist(),
}


def linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(
        channels <= 0.04045,
        channels / 12.92,
        ((channels + 0.055) / 1.055) ** 2.4,
    )


def lab(rgb):
    """Return CIELAB (D65) of linear RGB."""
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * 841 / 108 + 4 / 29)
    return np.array(
        [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]
    )


@pytest.mark.parametrize("name", [n for n in fig.ROLES if n != "faint"])
def test_a_colour_is_readable_as_text_on_both_pages(name):
    look = fig.role(name)
    assert contrast(look.light, style.PAGE_LIGHT) >= 4.5
    assert contrast(look.dark, style.PAGE_DARK) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_roles_stay_apart_for_the_colour_blind(theme, blindness):
    seen = {
        name: lab(
            np.array(BLINDNESS[blindness])
            @ linear(getattr(fig.role(name), theme))
        )
        for name in MEANING
    }
    for one, other in itertools.combinations(MEANING, 2):
        # 2.3 is about a difference that one barely notices.
        apart = np.linalg.norm(seen[one] - seen[other])
        assert apart > 8 * 2.3, (one, other)


def test_roles_differ_without_any_colour():
    markers = [fig.role(name).marker for name in MEANING]
    hatches = [fig.role(name).hatch for name in MEANING]
    assert len(set(markers)) == len(set(hatches)) == len(MEANING)


def test_the_style_sheet_has_the_same_colours():
    light, dark = re.findall(
        r"\{([^}]*--course-query:[^}]*)\}", CSS.read_text()
    )
    for name, look in fig.ROLES.items():
        assert f"--course-{name}: {look.light};" in light
        assert f"--course-{name}: {look.dark};" in dark


def drawing():
    figure, axes = fig.new(1, 2, height=2)
    fig.heatmap(axes[0], [[0.25, -1.0]], rows=["q"], columns=["k1", "k2"])
    fig.bars(axes[1], [0.25, 0.75], labels=["k1", "k2"])
    return figure


def test_a_figure_has_words_for_those_who_cannot_see_it():
    html = fig.figure_html(
        drawing(), alt='Two cells & two "bars"', caption="Weights of $q < 1$"
    )
    root = ElementTree.fromstring(html)
    svg = root[0]
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == 'Two cells & two "bars"'
    assert "".join(root[1].itertext()) == "Weights of \\(q < 1\\)"


@pytest.mark.parametrize("alt", ["", "  ", "Figure 1"])
def test_a_figure_without_words_is_refused(alt):
    with pytest.raises(ValueError, match="alt must say in words"):
        fig.figure_html(drawing(), alt=alt)


def test_a_figure_follows_the_theme_and_is_the_same_every_time():
    one = fig.figure_html(drawing(), alt="a heat map and bars")
    other = fig.figure_html(drawing(), alt="a heat map and bars")
    assert one == other
    assert "var(--course-key, #a85400)" in one
    assert "var(--course-ink" in one
    bare = one.replace("var(--course-key, #a85400)", "")
    assert "#a85400" not in bare


def test_two_figures_on_a_page_share_no_ids():
    figure, axes = fig.new()
    axes.plot([1, 2, 3])
    texts = [
        fig.figure_html(each, alt="one of two drawings")
        for each in (drawing(), figure)
    ]
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in texts]
    assert ids[0]
    assert not ids[0] & ids[1]
    for text, known in zip(texts, ids, strict=True):
        used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
        assert {one or other for one, other in used} <= known


def test_a_heavy_figure_becomes_a_picture_of_dots(monkeypatch):
    monkeypatch.setattr(page, "HEAVY_BYTES", 10)
    html = fig.figure_html(drawing(), alt="a heat map and bars")
    assert '<img class="dark-light" alt="a heat map and bars"' in html
    assert "data:image/png;base64," in html


@pytest.mark.parametrize("colour", ["query", "key", "value"])
def test_numbers_in_cells_can_be_read(colour):
    figure, axes = fig.new()
    values = np.linspace(-1, 1, 21)[None]
    fig.heatmap(axes, values, colour=colour)
    for text, cell in zip(axes.texts, axes.patches, strict=True):
        assert contrast(text.get_color(), cell.get_facecolor()[:3]) >= 4.5
    # The theme may replace a role's colour, never a cell's.
    html = fig.figure_html(figure, alt="a row of shaded cells")
    assert f"fill: var(--course-{colour}" not in html


def test_a_heat_map_writes_its_numbers_and_names():
    _, axes = fig.new()
    fig.heatmap(
        axes, [[0.5, -0.25], [np.nan, 0]], rows=["a", "b"], columns=["c", "d"]
    )
    written = [text.get_text() for text in axes.texts]
    assert written == ["0.50", "\N{MINUS SIGN}0.25", "nan", "0.00"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["c", "d"]


def test_wrong_arguments_are_refused_in_words():
    _, axes = fig.new()
    with pytest.raises(ValueError, match=r"matrix must have axes"):
        fig.heatmap(axes, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"rows must name each of 1: got 2"):
        fig.heatmap(axes, [[1.0]], rows=["a", "b"])
    with pytest.raises(ValueError, match=r"heights must have one axis"):
        fig.bars(axes, [[1.0]])
    with pytest.raises(ValueError, match=r"role must be one of query"):
        fig.points(axes, [[0, 0]], colour="red")
    with pytest.raises(ValueError, match=r"name must be letters"):
        fig.number("a b", 1)


def test_points_and_arrows_lie_inside_their_axes():
    figure, axes = fig.new()
    fig.arrows(axes, [[2.0, 1.0]], colour="query", labels=["q"])
    fig.points(axes, [[-1.0, 3.0]], colour="key", labels=["k"])
    figure.canvas.draw()
    assert axes.get_xlim()[0] < -1
    assert axes.get_xlim()[1] > 2
    assert axes.get_ylim()[1] > 3


def test_an_image_is_drawn_with_ink_on_paper():
    _, axes = fig.new()
    fig.image(axes, [[0.0, 1.0]], title="one")
    drawn = axes.images[0]
    assert drawn.get_clim() == (0, 1)
    assert drawn.cmap(0.0)[:3] == (1, 1, 1)


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (np.float64(0.25), ".3f", "0.250"),
        (np.array([3]), "d", "3"),
        (-1, "", "\N{MINUS SIGN}1"),
        (1797, ",", "1,797"),
        (0.125, ".1%", "12.5%"),
    ],
)
def test_numbers_are_written_as_the_page_shows_them(value, spec, text):
    assert fig.formatted(value, spec) == text


def test_nothing_is_shown_outside_a_notebook(capsys):
    fig.show(drawing(), alt="a heat map and bars")
    fig.number("one", 1)
    assert capsys.readouterr().out == ""


def test_the_box_lists_every_mistake_once_and_links_it():
    html = fig.mistakes_html("dense")
    ElementTree.fromstring(html)
    question = questions.load("dense.attend")
    for each in question.misconceptions:
        assert f'href="#{each.section}"' in html
        assert html.count(f"<p>{escape(each.says)} ") == 1


def test_what_a_mistake_says_cannot_break_the_page():
    wrong = Misconception(
        "a_b", (), "s", "x < y & <script>", "softmax-a", error="E02"
    )
    html = page._mistake("dense", wrong)
    assert "x &lt; y &amp; &lt;script&gt;" in html
    assert 'href="02_softmax.html#softmax-a"' in html
    assert 'href="errata.html#error-e02"' in html
    assert "<summary>A b " in html


@pytest.mark.parametrize("unit", questions.UNITS)
def test_every_units_box_is_sound(unit):
    box = ElementTree.fromstring(fig.mistakes_html(unit))
    assert len(box.findall("details")) >= 8
    for link in box.iter("a"):
        assert re.fullmatch(r"[\w.]*#[\w-]+", link.get("href"))


def test_the_web_draws_each_mechanism_once_and_each_tie_between_them():
    drawn = [name for column in fig.levels(TABLE)[:-1] for name in column]
    (axes,) = fig.web().axes
    assert [text.get_text() for text in axes.texts] == drawn
    assert len(set(drawn)) == len(drawn)
    ties = [row for row in TABLE if {row.left, row.right} <= set(drawn)]
    assert len(axes.lines) == len(ties)


def test_the_levels_of_the_web_are_distances_from_dense_attention():
    def row(left, right):
        return Equivalence(left, right, "", lambda draw: None)

    rows = [row("b", "a"), row("a", "dense attention"), row("x", "y")]
    assert fig.levels(rows) == [["dense attention"], ["a"], ["b"], ["x", "y"]]


def test_the_table_of_equivalences_shows_what_it_measured(monkeypatch):
    shown = []
    monkeypatch.setattr(ties, "display", shown.append)
    fig.equivalences()
    (page,) = shown
    assert page.html.count("<tr>") == len(TABLE) + 1
    for row in TABLE:
        assert escape(row.when) in page.html
