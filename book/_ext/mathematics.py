"""MathJax in one file, with what this book's formulas need.

The usual bundle brings a menu and a speech engine: two fifths of its weight,
and a stop for the tab key at every formula. What stays hands each formula to
screen readers as MathML.
"""

from __future__ import annotations

import shutil
from pathlib import Path

FILE = "mathjax/course.js"
# In this order, for one builds on another.
PACKAGES = (
    "newcommand",
    "configmacros",
    "require",
    "autoload",
    "ams",
    "html",
    "noundefined",
)
PARTS = (
    "startup",
    "core",
    "input/tex-base",
    *(f"input/tex/extensions/{name}" for name in PACKAGES),
    "output/chtml",
    "output/chtml/fonts/tex",
    "a11y/assistive-mml",
)
# What stays beside it: the fonts, and extensions that a rare command loads.
KEPT = ("output/chtml/fonts/woff-v2", "input/tex/extensions")


def use_one_file(app, config) -> None:
    """Have pages load the one file, and name the packages in it."""
    config.mathjax_path = FILE
    settings = config.mathjax3_config or {}
    tex = settings.setdefault("tex", {})
    tex.setdefault("packages", {})["[+]"] = list(PACKAGES)
    config.mathjax3_config = settings


def joined(folder: Path) -> str:
    """Return MathJax's parts as one script.

    The first part begins when the script has ended, and must know by then
    that the others are there.
    """
    texts = [(folder / f"{part}.js").read_text("utf-8") for part in PARTS]
    names = [
        part.replace("input/tex/extensions", "[tex]")
        + ".js" * part.endswith("fonts/tex")
        for part in PARTS
    ]
    there = ", ".join(f'"{name}"' for name in names)
    return ";\n".join([*texts, f"MathJax.loader.preLoad({there});\n"])


def join(app, error) -> None:
    """Write the one file, and remove what is not asked for."""
    folder = Path(app.outdir) / "_static" / "mathjax"
    if error or not (folder / "core.js").is_file():
        return
    kept = folder.with_name("mathjax-kept")
    shutil.rmtree(kept, ignore_errors=True)
    for part in KEPT:
        shutil.copytree(folder / part, kept / part)
    (kept / "course.js").write_text(joined(folder), "utf-8")
    shutil.rmtree(folder)
    kept.rename(folder)


def setup(app):
    """Connect the extension."""
    app.connect("config-inited", use_one_file)
    # After MathJax was copied.
    app.connect("build-finished", join, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
