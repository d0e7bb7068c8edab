"""Colours that everybody can read, in light, dark and print."""

import re

import pytest

from attncourse.grading.pages.style import COLOURS, CSS, MEDIA

TEXT = ("ink", "muted", "blue", "good", "part", "bad")
CODE = ("keyword", "string", "comment", "number")
BACKS = (
    ("good", "good-back"),
    ("part", "part-back"),
    ("bad", "bad-back"),
    ("muted", "raised"),
    ("ink", "raised"),
    ("ink", "blue-back"),
    ("ink", "mark"),
)

THEMES = ["light", "dark", "print"]


def palettes():
    light, dark = COLOURS.split("@media")
    printed = MEDIA.partition("@media print")[2]
    for text in (light, dark, printed):
        yield dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", text))


def luminance(colour):
    digits = (
        colour[1:]
        if len(colour) == 7
        else "".join(2 * digit for digit in colour[1:])
    )
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    "colours", [*palettes()], ids=["light", "dark", "print"]
)
def test_all_text_has_the_contrast_that_the_guidelines_ask_for(colours):
    pairs = [(name, "page") for name in TEXT]
    pairs += [(name, "raised") for name in CODE]
    for name, back in [*pairs, *BACKS]:
        assert contrast(colours[name], colours[back]) >= 4.5, (name, back)


def test_the_style_asks_for_nothing_from_elsewhere():
    assert "url(" not in CSS
    assert "@import" not in CSS
    assert "</" not in CSS
