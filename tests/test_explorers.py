"""Explorers carry small, true data, and a figure for where nothing moves."""

import importlib.util
import re
from types import SimpleNamespace

import numpy as np
import pytest
from docutils import nodes
from matplotlib.colors import to_rgb
from prose import BOOK

from attncourse import explorers
from attncourse import figures as fig
from attncourse.figures import style

SPEC = importlib.util.spec_from_file_location(
    "explorer_extension", BOOK / "_ext" / "explorer.py"
)
extension = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(extension)
NAMES = explorers.names()
SCRIPTS = BOOK / "_explorers"


@pytest.mark.parametrize("name", NAMES)
def test_the_data_fit_a_page_and_are_the_same_each_time(name):
    module = explorers.load(name)
    text = explorers.as_json(module.data())
    assert text == explorers.as_json(module.data())
    assert "</" not in text


@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_moves_a_figure_with_words_stands(name):
    module = explorers.load(name)
    html = fig.figure_html(module.fallback(), alt=module.ALT)
    assert html.startswith('<figure class="course-figure"><svg')
    assert len(module.ALT.split()) > 20
    assert 3 <= len(module.TITLE.split()) <= 12


@pytest.mark.parametrize("name", NAMES)
def test_an_explorer_has_a_script_and_stands_in_one_chapter(name):
    script = (SCRIPTS / f"{name}.js").read_text(encoding="utf-8")
    assert f'define("{name}"' in script
    used = [
        page.name
        for page in BOOK.glob("*.md")
        if re.search(rf"\{{explorer\}} {name}$", page.read_text(), re.M)
    ]
    assert len(used) == 1


def test_an_unknown_explorer_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"must be one of .*temperature.*got"):
        explorers.load("weather")


def test_data_that_no_page_can_carry_are_refused():
    with pytest.raises(ValueError, match="must fit into 60000 bytes: got"):
        explorers.as_json(["a" * 60_000])
    with pytest.raises(ValueError, match="not JSON compliant"):
        explorers.as_json([float("nan")])


def test_scripts_reach_nothing_outside_their_folder():
    for script in SCRIPTS.glob("*.js"):
        text = script.read_text(encoding="utf-8")
        for source in re.findall(r"from \"(.+?)\"", text):
            assert source.startswith("./"), script.name
            assert (SCRIPTS / source).is_file(), (script.name, source)
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), script.name
        assert "eval(" not in text
        assert not re.search(r"\bon\w+=\"", text), script.name


@pytest.mark.parametrize("file", sorted(SCRIPTS.glob("*.css")))
def test_a_style_sheet_uses_only_the_colours_of_the_theme(file):
    sheet = file.read_text(encoding="utf-8")
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", sheet)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["query", "key", "value", "output"])
def test_ink_is_readable_on_the_deepest_shade_of_a_cell(name, theme):
    script = (SCRIPTS / "draw.js").read_text(encoding="utf-8")
    share = float(re.search(r"\((\d+) \* Math\.min", script)[1]) / 100
    ground = {"light": style.PAGE_LIGHT, "dark": style.PAGE_DARK}[theme]
    colour, paper = (
        np.array(to_rgb(each))
        for each in (getattr(fig.role(name), theme), ground)
    )
    shade = share * colour + (1 - share) * paper
    assert fig.contrast(shade, getattr(fig.role("ink"), theme)) >= 4.5


def node(name):
    return extension.Explorer(
        "", name=name, title="Less < more", data="{}", still="<figure/>"
    )


def test_an_explorer_becomes_an_element_of_its_own():
    page = SimpleNamespace(body=[])
    extension.visit(page, node("two_words"))
    extension.depart(page, node("two_words"))
    html = "".join(page.body)
    assert html.startswith(
        '<explore-two-words class="explorer" id="explorer-two-words"'
    )
    assert "Less &lt; more" in html
    assert html.rstrip().endswith("</explore-two-words>")
    for tag in ("p", "div", "script"):
        assert html.count(f"<{tag} ") == html.count(f"</{tag}>")


def test_only_a_page_with_an_explorer_loads_its_script():
    def head(*names):
        document = nodes.section("", *(node(name) for name in names))
        context = {"metatags": "<meta/>", "pathto": lambda to, _: f"../{to}"}
        extension.add_scripts(None, "page", "page.html", context, document)
        return context["metatags"]

    assert head() == "<meta/>"
    twice = head("masks", "masks", "heads")
    assert twice.startswith("<meta/>")
    assert twice.count('src="../_explorers/masks.js"') == 1
    assert twice.count("explorers.css") == 1
    assert 'type="module" src="../_explorers/heads.js"' in twice
