"""Pages that load what they use, and nothing that they do not."""

from __future__ import annotations

# Jupyter Book always loads these; this book runs code in another way, and
# has no comments.
UNUSED = ("sphinx_thebe", "sphinx_comments")
UNUSED_CSS = ("sphinx-thebe.css",)


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


def setup(app):
    """Connect the extension."""
    disconnect(app)
    # After everything else has said what it wants on the page.
    app.connect("html-page-context", keep_used, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
