"""Text, HTML, Markdown, pictures and tables of others, made harmless."""

import csv
import io
import re
import time

import pytest
from grading import page_payloads as payloads
from grading.page_samples import png
from grading.page_texts import GRID
from grading.page_words import Elements
from hypothesis import given
from hypothesis import strategies as st

from attncourse.grading.pages import markup, outputs, safe
from attncourse.grading.pages.sheets import sheet

URL = "http://127.0.0.1:9/v"
EVENT = re.compile(r"<[^<>]*\son\w+\s*=")


def test_colours_titles_and_links_of_a_terminal_go():
    text = "\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\a\x9b3m"
    assert safe.text(text) == "red a"


def test_what_a_progress_bar_overwrote_is_gone_and_lines_stay():
    assert safe.text("1%\r50%\r100%\nb\r\nc") == "100%\nb\nc"


def test_text_that_would_read_in_another_order_shows_its_marks():
    assert safe.text("a\u202egnp.exe\u2066") == "a[U+202E]gnp.exe[U+2066]"


def test_controls_surrogates_and_piles_of_accents_go():
    assert safe.text("a\x00\x08b\ud800\ufeff") == "ab\ufffd"
    assert len(safe.text("a" + "\u0301" * 500)) == 4


@given(st.text(st.characters(), max_size=60))
def test_any_text_comes_out_writable_and_without_controls(text):
    out = safe.text(text)
    out.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out)
    assert safe.text(out) == out


@given(st.text(st.characters(), max_size=60))
def test_no_cell_of_a_spreadsheet_starts_a_formula(text):
    cell = safe.cell(text)
    for separator in ",;\t|\n":
        for part in cell.split(separator):
            assert not part.strip().startswith(tuple("=+-@＝＋－＠"))


@pytest.mark.parametrize(
    "text",
    [
        "=HYPERLINK(A1)",
        "+1",
        "-2+3",
        "@sum",
        "\t=1",
        "\r=1",
        "\x00=1",
        "\u200e=1",
        " =1",
        "＝1",
        "a\n=1",
        "x;=cmd|' /C calc'!A0",
    ],
)
def test_a_formula_is_kept_as_text(text):
    table = sheet(["name"], [[text]])
    cell = next(csv.reader(io.StringIO(table.split("\n", 1)[1])))[0]
    assert not cell.lstrip().startswith(tuple("=+-@＝"))
    assert not re.search(r"[;,|\t\n]\s*[=+\-@＝]", cell)


def test_none_becomes_an_empty_cell_and_numbers_stay_numbers():
    assert sheet(["a", "b", "c"], [[None, -1.5, 2.0]]).endswith('"",-1.5,2\n')


@pytest.mark.parametrize("key", payloads.HTML)
def test_html_keeps_nothing_that_acts(key):
    text = payloads.html(URL)[list(payloads.HTML).index(key)]
    shown = markup.html(text)
    bare = re.sub('"[^"]*"', '""', shown)
    assert not EVENT.search(bare)
    assert not re.search("<(script|style|iframe|svg|form|meta|base)", bare)
    assert not re.search(r"(src|href|style)=\"(?!data:image/)", shown)


@pytest.mark.parametrize("key", payloads.MARKDOWN)
def test_markdown_keeps_nothing_that_acts(key):
    text = payloads.markdown(URL)[list(payloads.MARKDOWN).index(key)]
    shown = markup.markdown(text, {"evil.png": {"image/png": "PHN2Zz4="}})
    assert not EVENT.search(re.sub('"[^"]*"', '""', shown))
    assert not re.search(r"(src|href)=\"(?!data:image/)", shown)
    assert "<script" not in shown


def test_honest_markup_stays():
    text = "**a** $x_1 < y$\n\n| h |\n| - |\n| c |\n\n[l](https://a.org/b)"
    shown = markup.markdown(text)
    assert "<strong>a</strong>" in shown
    assert "$x_1 &lt; y$" in shown
    assert "<td>c</td>" in shown
    assert '<a href="https://a.org/b">l</a>' in shown


def test_a_table_of_pandas_loses_its_style_and_keeps_its_cells():
    frame = (
        '<div><style scoped>.dataframe{color:red}</style><table border="1" '
        'class="dataframe"><tr><th>a</th><td>1</td></tr></table></div>'
    )
    shown = markup.html(frame)
    assert "<th>a</th><td>1</td>" in shown
    assert "color" not in shown


def test_a_students_own_picture_in_markdown_is_shown():
    shown = markup.markdown(
        "![p](attachment:a%20b.png)", {"a b.png": {"image/png": png()}}
    )
    assert shown.count('src="data:image/png;base64,') == 1


def test_classes_and_ids_cannot_disguise_anything():
    assert markup.html('<p class="pill pass" id="q1">x</p>') == "<p>x</p>"


def test_a_drawing_in_html_becomes_a_picture_with_its_label():
    shown = markup.html(f"<p>{GRID}</p>")
    assert shown.startswith('<p><img src="data:image/svg+xml;base64,')
    assert 'alt="Heat maps: your matrix beside the expected one"' in shown


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 60_000,
        "<" * 250_000,
        "<!--" * 60_000,
        "<svg" * 60_000,
        "<script" * 30_000,
        "<a b='" * 40_000,
        "<b><i><a>" * 1_300,
        "&#x" * 80_000,
    ],
)
def test_no_fragment_takes_long(text):
    start = time.perf_counter()
    markup.html(text)
    assert time.perf_counter() - start < 4


@pytest.mark.parametrize(
    "text",
    ["[" * 30_000, "*a" * 15_000, "`" * 30_000, "> " * 15_000, "$a " * 9_000],
)
def test_no_markdown_takes_long(text):
    start = time.perf_counter()
    markup.markdown(text)
    assert time.perf_counter() - start < 4


def test_a_flood_of_outputs_is_cut_in_the_middle():
    budget = outputs.Budget()
    flood = [{"output_type": "stream", "name": "stdout", "text": "a" * 5000}]
    shown = outputs.as_html([*flood * 1_000], budget)
    assert len(shown) < 12_000
    assert "4,990,000 characters are left out" in shown
    many = [{"output_type": "error", "ename": "E", "evalue": "x"}] * 5_000
    assert outputs.as_html(many, budget).endswith(
        "<p>(more outputs are left out)</p>"
    )


def test_rubbish_for_outputs_is_no_error():
    for rubbish in (
        None,
        "text",
        [None, 3, "x", {}],
        [{"output_type": "stream"}],
        [{"output_type": "display_data", "data": [1]}],
        [{"output_type": "display_data", "data": {"text/html": 3}}],
        [{"output_type": "error", "traceback": 4, "ename": None}],
    ):
        outputs.as_html(rubbish, outputs.Budget())
        outputs.as_text(rubbish, outputs.Budget())


def test_a_verdict_among_outputs_is_not_shown_as_an_output():
    bundle = {outputs.VERDICT_MIME: {"points": 1}, "text/plain": "pass"}
    shown = [{"output_type": "display_data", "data": bundle}]
    assert outputs.as_html(shown, outputs.Budget()) == ""
    assert outputs.as_text(shown, outputs.Budget()) == []


def test_addresses_stay_within_the_folder_of_the_report():
    assert safe.address("a/b c.html") == "a/b%20c.html"
    for other in ("javascript:x", "//x.org", "http://x", "\\\\x", "data:,x"):
        assert safe.address(other) == ""
    assert safe.address('a" onclick="x') == "a%22%20onclick%3D%22x"


PIECES = st.sampled_from(
    [
        *payloads.html(URL),
        "<p",
        ">",
        '"',
        "'",
        "<!--",
        "-->",
        "&lt;",
        "</",
        "x",
    ]
)


@given(st.lists(PIECES, max_size=6).map("".join))
def test_payloads_in_any_order_and_broken_anywhere_stay_harmless(text):
    shown = markup.html(text)
    assert {tag for tag, _ in Elements(shown).found} <= markup.TAGS
    keys = {key for _, given in Elements(shown).found for key in given}
    assert keys <= {"title", "alt", "src", "href", "colspan", "rowspan"}


def test_formgraders_code_keeps_its_colours_and_nothing_else():
    code = (
        '<div class="highlight hl-ipython3"><pre><span class="k">if</span>'
        '<b onclick="x()">x</b><span class="modal p">x</span></pre></div>'
    )
    assert markup.clean(code.encode()) == (
        '<div class="highlight hl-ipython3"><pre><span class="k">if</span>'
        "x<span>x</span></pre></div>"
    )
    assert markup.clean('<span class="k">x</span>') == "<span>x</span>"
