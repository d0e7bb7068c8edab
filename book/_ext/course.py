"""The book's own Sphinx extension: an honest cache of what was computed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Parts of the package that no chapter runs.
UNUSED = {
    "__main__.py",
    "bookmaking",
    "cli.py",
    "cli_options.py",
    "explorers",
    "live",
    "notebooks",
}


def computed_from() -> str:
    """Return a short hash of what the chapters' cells compute from."""
    digest = hashlib.sha256()
    package = ROOT / "attncourse"
    files = [
        file
        for file in sorted(package.rglob("*.py"))
        if file.relative_to(package).parts[0] not in UNUSED
    ]
    files += sorted((ROOT / "attncourse" / "data").glob("*"))
    files += sorted((ROOT / "book" / "measurements").glob("*.json"))
    for file in files:
        digest.update(file.relative_to(ROOT).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def use_own_cache(app, config) -> None:
    """Keep executed chapters only as long as the package stays the same.

    Jupyter's cache looks at a chapter's own cells; this adds the code that
    they call.
    """
    caches = Path(app.outdir).parent / ".jupyter_cache"
    mine = caches / computed_from()
    if caches.is_dir():
        for other in caches.iterdir():
            if other.is_dir() and other != mine:
                shutil.rmtree(other, ignore_errors=True)
    config.nb_execution_cache_path = str(mine)


def made_by() -> str:
    """Return a short hash of the extensions that make pages."""
    digest = hashlib.sha256()
    for file in sorted((ROOT / "book" / "_ext").glob("*.py")):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def read_again(app, env, added, changed, removed) -> list[str]:
    """Return every page, if what its cells or its makers do has changed.

    Sphinx looks at a page's own file only, and at a listing's module only.
    """
    now = (computed_from(), made_by())
    before = getattr(env, "course_computed_from", None)
    env.course_computed_from = now
    if before == now:
        return []
    shutil.rmtree(Path(app.outdir) / "_modules", ignore_errors=True)
    return sorted(env.found_docs)


def setup(app):
    """Connect the extension."""
    # Before myst-nb reads the configuration.
    app.connect("config-inited", use_own_cache, priority=1)
    app.connect("env-get-outdated", read_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
