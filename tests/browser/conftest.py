"""A real browser without a network, and the built book served to it."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

# The book must not mind where on a server it lies.
BELOW = "/courses/attention/"
# Without these, Chromium asks for updates and the like.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Book(SimpleHTTPRequestHandler):
    """Serves a folder below `BELOW`, and nothing anywhere else."""

    def translate_path(self, path):
        if not path.startswith(BELOW):
            return self.directory + "/not-there"
        return super().translate_path("/" + path.removeprefix(BELOW))

    def log_message(self, *args):
        """Keep the tests' output short."""


@pytest.fixture(scope="session")
def serve():
    """Return a function that serves a folder and returns its address."""
    servers = []

    def start(folder):
        handler = partial(Book, directory=str(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}{BELOW}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def site(built_book, serve):
    """Return the address below which the built book is served."""
    return serve(built_book)


@pytest.fixture(scope="session")
def live(site, built_book):
    """Return the book's address, if exercises can be solved in its pages."""
    if not (built_book / "_live" / "codemirror.js").is_file():
        pytest.skip("live exercises need their files; the build says why")
    return site


# One for each file: a browser that outlived its tests would be among the
# processes that other tests must find gone.
@pytest.fixture(scope="module")
def chromium():
    """Return a running Chromium, or skip and say why."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("browser tests need Chromium, and found none")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium, request):
    """Return a fresh profile for which only the local host exists.

    The test fails if a page asked for anything else, or if a script on it
    failed. Options: ``@pytest.mark.profile(color_scheme="dark", ...)``.
    """
    mark = request.node.get_closest_marker("profile")
    profile = chromium.new_context(**(mark.kwargs if mark else {}))
    away, failed = [], []

    def guard(route):
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            away.append(route.request.url)
            route.abort()

    profile.route("**/*", guard)
    profile.on("weberror", lambda error: failed.append(str(error.error)))
    yield profile
    profile.close()
    assert away == [], "a page must ask nobody but its own server"
    assert failed == [], "no script on a page may fail"


@pytest.fixture
def page(context):
    """Return an empty tab of the fresh profile."""
    return context.new_page()
