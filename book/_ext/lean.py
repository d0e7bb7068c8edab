"""Pages that load what they use, and nothing that they do not.

The theme ships an icon set of two thousand; its pages show some twenty. The
few become a small font inside the theme's style sheet.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

from fontTools import subset

TEMPLATES = Path(__file__).resolve().parents[1] / "_templates"
# Jupyter Book always loads these; this book runs code in another way, and
# has no comments.
UNUSED = ("sphinx_thebe", "sphinx_comments")
UNUSED_CSS = ("sphinx-thebe.css",)
# The icons that pages name in a class; a test finds one that is missing.
ICONS = {
    *("angle-left", "angle-right", "arrow-up", "bars", "chevron-down"),
    *("circle-half-stroke", "download", "expand", "file", "file-pdf"),
    *("list", "magnifying-glass", "moon", "outdent", "sun", "xmark"),
}
# A rule for one or more icons: all its selectors name one.
NAMING = re.compile(
    r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}', re.I
)
FACE = re.compile(r"@font-face\{[^}]*Font Awesome[^}]*\}")
PRIVATE = re.compile(r"[\ue000-\uf8ff]|\\(f[0-9a-f]{3})\b")
FONT = "vendor/fontawesome/webfonts/fa-solid-900.ttf"
THEME_CSS = "styles/pydata-sphinx-theme.css"
# Copied by extensions and themes, and asked for by no page.
LEFT_OVER = (
    "scripts/fontawesome.js",
    "scripts/*.LICENSE.txt",
    "scripts/*.map",
    "styles/*.map",
    "vendor",
    "locales",
    "sphinx-thebe.*",
    "webpack-macros.html",
    "sbt-webpack-macros.html",
)


def disconnect(app) -> None:
    """Let no unused extension hear of anything.

    Thebe's scripts, put on every page twice, stop with an error there.
    """
    for listeners in list(app.events.listeners.values()):
        for each in list(listeners):
            module = getattr(each.handler, "__module__", "")
            if module.partition(".")[0] in UNUSED:
                app.disconnect(each.id)


def keep_used(app, pagename, templatename, context, doctree) -> None:
    """Take the styles of what is not there off a page."""
    styles = context["css_files"]
    styles[:] = [
        each
        for each in styles
        if not str(getattr(each, "filename", each)).endswith(UNUSED_CSS)
    ]


def named(rule: re.Match) -> str:
    """Return the rule of an icon that is used, else nothing.

    A screen reader is told that the sign says nothing.
    """
    names = re.findall(r"\.fa-([\w-]+):before", rule[1])
    used = [f".fa-{name}:before" for name in names if name in ICONS]
    if not used:
        return ""
    sign = f'"\\{rule[2]}"'
    return f'{",".join(used)}{{content:{sign};content:{sign}/""}}'


def signs(*styles: str) -> set[int]:
    """Return the code points of private use that style sheets show."""
    return {
        int(found[1], 16) if found[1] else ord(found[0])
        for style in styles
        for found in PRIVATE.finditer(style)
    }


def font_of(points: set[int], font: Path) -> bytes:
    """Return a font with only these signs of another one."""
    options = subset.Options(flavor="woff", layout_features=[], hinting=False)
    full = subset.load_font(str(font), options)
    cut = subset.Subsetter(options)
    cut.populate(unicodes=points)
    cut.subset(full)
    out = io.BytesIO()
    subset.save_font(full, out, options)
    return out.getvalue()


def with_own_icons(style: str, others: list[str], font: Path) -> str:
    """Return the theme's style sheet with a font of the used icons in it."""
    style = NAMING.sub(named, FACE.sub("", style))
    small = font_of(signs(style, *others), font)
    data = base64.b64encode(small).decode()
    face = (
        "@font-face{font-family:Font Awesome\\ 6 Free;font-weight:900;"
        f'src:url("data:font/woff;base64,{data}") format("woff")}}\n'
    )
    return face + re.sub(r"\n/\*# sourceMappingURL.*", "", style)


def lighten(app, error) -> None:
    """Make the theme's style sheet small, and remove what nobody loads."""
    static = Path(app.outdir) / "_static"
    font, theme = static / FONT, static / THEME_CSS
    if error or app.builder.format != "html" or not font.is_file():
        return
    others = [
        file.read_text("utf-8")
        for file in static.rglob("*.css")
        if file != theme
    ]
    style = theme.read_text("utf-8")
    theme.write_text(with_own_icons(style, others, font), "utf-8")
    for pattern in LEFT_OVER:
        for each in static.glob(pattern):
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def anew(app) -> list:
    """Have the pages of source code written again, as all others are.

    They would stay as they are until their source changes, whatever the
    template has become.
    """
    shutil.rmtree(Path(app.outdir) / "_modules", ignore_errors=True)
    return []


def setup(app):
    """Connect the extension."""
    disconnect(app)
    app.config.templates_path.insert(0, str(TEMPLATES))
    # After everything else has said what it wants on the page.
    app.connect("html-page-context", keep_used, priority=900)
    app.connect("html-collect-pages", anew, priority=400)
    app.connect("build-finished", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
