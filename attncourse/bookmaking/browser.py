"""A browser that shows the built book, and nothing from elsewhere."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


class MissingBrowser(RuntimeError):
    """There is no browser, or nothing to steer it with."""


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing about each request."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yield its address."""
    handler = partial(_Silent, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a running Chromium.

    Raises
    ------
    MissingBrowser
        If Playwright or Chromium is missing; the message says which.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise MissingBrowser(
            "Playwright must be installed: `make` does it, or "
            "pip install playwright"
        ) from None
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise MissingBrowser(
            "Chromium must be installed: got none of "
            f"{', '.join(PROGRAMS)}; on Debian and Ubuntu, "
            "apt-get install chromium"
        )
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=program, args=list(QUIET)
        )
        try:
            yield browser
        finally:
            browser.close()


def shut_in(context: Any) -> Any:
    """Let a profile ask nobody but this machine; return it."""

    def guard(route: Any) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            route.abort()

    context.route("**/*", guard)
    return context


def when_typeset(page: Any) -> None:
    """Wait until a page's formulas and fonts are there."""
    page.evaluate(
        """async () => {
            await window.MathJax?.startup?.promise;
            await document.fonts.ready;
        }"""
    )
