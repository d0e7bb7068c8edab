"""Every kind of page opens, alone, from a folder of a server."""

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", ["index", "04_dense", "notation", "library"])
def test_a_page_opens_without_any_network(page, site, name):
    page.goto(f"{site}{name}.html")
    assert page.locator("h1").first.inner_text().strip()
