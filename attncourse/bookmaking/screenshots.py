"""Pictures of each kind of page: desktop, phone, dark, and on paper."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from attncourse.bookmaking.browser import (
    MissingBrowser,
    chromium,
    served,
    shut_in,
    when_typeset,
)

# What stands for each kind of page.
KINDS = {
    "landing": "index.html",
    "chapter": "04_dense.html",
    "chapter-tables": "06_heads.html",
    "instructors": "grading.html",
    "library": "library.html",
    "mechanism": "library/masks.html",
    "equivalences": "equivalences.html",
    "measurements": "speed.html",
    "notation": "notation.html",
    "errata": "errata.html",
    "bibliography": "bibliography.html",
    "progress": "progress.html",
    "search": "search.html?q=softmax",
    "index": "genindex.html",
    "source": "_modules/attncourse/reference/dense.html",
}
DESKTOP = {"width": 1280, "height": 800}
LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": DESKTOP},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "has_touch": True,
    },
    "print": {"viewport": {"width": 794, "height": 1123}},
}
# Longer pages are cut: what follows looks alike.
MOST_PIXELS = 9000


def show_everything(page: Any) -> None:
    """Scroll through a page, so that what waits for it has come."""
    page.evaluate(
        """async () => {
            for (let y = 0; y < document.body.scrollHeight; y += 600) {
                window.scrollTo(0, y);
                await new Promise((next) => setTimeout(next, 20));
            }
            window.scrollTo(0, 0);
        }"""
    )


def take(page: Any, file: Path, look: str) -> None:
    """Write a picture of a page that is shown."""
    if look == "print":
        page.emulate_media(media="print")
    height = page.evaluate("document.documentElement.scrollHeight")
    width = page.viewport_size["width"]
    page.screenshot(
        path=file,
        full_page=True,
        clip={
            "x": 0,
            "y": 0,
            "width": width,
            "height": min(height, MOST_PIXELS),
        },
        animations="disabled",
    )


def make(html: Path, folder: Path) -> list[Path]:
    """Write the pictures of a built book into `folder`; return them.

    Raises
    ------
    FileNotFoundError
        If a kind of page has no page.
    """
    for place in KINDS.values():
        if not (html / place.partition("?")[0]).is_file():
            raise FileNotFoundError(
                f"the book must be built first (make book): got no {place}"
            )
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with served(html) as site, chromium() as browser:
        for look, options in LOOKS.items():
            context = shut_in(browser.new_context(**options))
            page = context.new_page()
            for kind, place in KINDS.items():
                page.emulate_media(media="screen")
                page.goto(site + place, wait_until="networkidle")
                when_typeset(page)
                show_everything(page)
                made.append(folder / f"{kind}-{look}.png")
                take(page, made[-1], look)
            context.close()
    return made


def main() -> int:
    """Make the pictures of the book that is built here."""
    build = Path("_build")
    try:
        made = make(build / "html", build / "screenshots")
    except (MissingBrowser, FileNotFoundError) as error:
        print(f"make screenshots: {error}", file=sys.stderr)
        return 1
    print(f"{len(made)} pictures: {made[0].parent.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
