"""What Sphinx and the theme get wrong is mended before a page is written."""

import re

import accessible


def test_parameters_on_lines_of_their_own_are_no_list():
    body = '<span class="sig-paren">(</span>\n\n<dl>\n<dd><em>q</em></dd></dl>'
    made = accessible.mended(body)
    assert "<dl>" not in made
    assert '<span class="sig-line"><em>q</em></span>' in made


def test_each_arrow_of_a_menu_says_what_it_opens():
    menu = '<a href="a">One</a><a href="b">T<i>wo</i></a><details><summary>'
    assert accessible.named_arrows(menu).endswith(
        '<details><summary aria-label="Parts of Two">'
    )


def test_every_table_of_the_book_has_a_head_or_is_none(built_book):
    for file in built_book.rglob("*.html"):
        for table in re.findall(
            r"<table.*?</table>", file.read_text("utf-8"), re.DOTALL
        ):
            is_layout = 'role="presentation"' in table
            assert is_layout or "<th" in table, (file, table[:200])


def test_every_page_says_its_language_and_its_title(built_book):
    for file in built_book.glob("*.html"):
        text = file.read_text("utf-8")
        assert '<html lang="en"' in text, file
        assert re.search(r"<title>\s*\S", text), file
