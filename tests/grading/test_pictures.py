"""Pictures and drawings: shown if they are nothing else."""

import base64
import re

import pytest
from grading import page_payloads as payloads
from grading.page_samples import png

from attncourse.grading.pages import drawings, pictures

URL = "http://127.0.0.1:9/v"


def decoded(address):
    return base64.b64decode(address.partition(",")[2]).decode()


@pytest.mark.parametrize("key", payloads.SVG)
def test_a_drawing_keeps_only_its_shapes(key):
    text = payloads.svg(URL)[list(payloads.SVG).index(key)]
    drawn = decoded(drawings.vector(text))
    assert URL not in drawn
    assert not re.search("script|onload|foreign|<a|<set|style>", drawn)


def test_a_figure_of_matplotlib_is_drawn_with_its_letters():
    figure = (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE svg PUBLIC '
        '"-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/'
        'svg11.dtd">\n<svg xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="9pt" xmlns="http://www.w3.org/2000/svg"><metadata>x'
        '</metadata><g id="a"><defs><path id="D-7" d="M0 0"/></defs>'
        '<use xlink:href="#D-7"/><path clip-path="url(#p1)" style="fill: '
        'none; stroke: #0b62c4; behavior: x"/></g></svg>'
    )
    drawn = decoded(drawings.vector(figure))
    assert '<use href="#D-7">' in drawn
    assert 'style="fill: none; stroke: #0b62c4"' in drawn
    assert 'clip-path="url(#p1)"' in drawn
    assert "metadata" not in drawn


def test_drawings_that_unfold_without_end_do_not():
    nest = "".join(
        f'<g id="a{n + 1}"><use href="#a{n}"/><use href="#a{n}"/></g>'
        for n in range(30)
    )
    drawn = drawings.vector(
        f'<svg xmlns="http://www.w3.org/2000/svg"><g id="a0"/>{nest}</svg>'
    )
    assert "<use" not in decoded(drawn)
    entities = '<!DOCTYPE svg [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>'
    assert drawings.vector(f"{entities}<svg>&c;</svg>") is None
    deep = "<g>" * 5_000 + "</g>" * 5_000
    assert drawings.vector(f"<svg>{deep}</svg>") is None
    assert drawings.vector("<html/>") is None
    assert drawings.vector("not a drawing") is None


def test_only_true_pictures_of_a_bearable_size_are_shown():
    assert pictures.raster("image/png", png()).startswith("data:image/png")
    assert pictures.raster("image/png", [png()[:8], png()[8:]])
    for kind, data in (
        ("image/png", png(60_000, 60_000)),
        ("image/png", png(0, 3)),
        ("image/jpeg", png()),
        ("image/svg+xml", png()),
        ("image/png", 'x" onerror="y()'),
        ("image/png", base64.b64encode(b"<svg onload=x>").decode()),
        ("image/png", None),
        ("image/gif", base64.b64encode(b"GIF89a").decode()),
    ):
        assert pictures.raster(kind, data) is None


def test_sizes_of_jpeg_and_gif_are_read():
    jpeg = bytes.fromhex("ffd8ffe000040000ffc00011080010002003") + bytes(20)
    gif = b"GIF89a" + bytes.fromhex("20001000") + bytes(10)
    for kind, raw in (("image/jpeg", jpeg), ("image/gif", gif)):
        assert pictures._size(kind, raw) == (32, 16)
        assert pictures.raster(kind, base64.b64encode(raw).decode())
