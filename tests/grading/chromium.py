"""Open a page in headless Chromium, and a server that counts visits."""

import contextlib
import http.server
import os
import shutil
import signal
import subprocess
import threading

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def opened(page, folder, *options, timeout_s=60):
    """Return what Chromium prints of a page; skip aloud without it."""
    if PROGRAM is None:
        pytest.skip("Chromium is not installed: no page was opened")
    profile = folder / "profile"
    process = subprocess.Popen(
        [
            *(PROGRAM, *OPTIONS, f"--user-data-dir={profile}"),
            *("--virtual-time-budget=3000", *options, page.as_uri()),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


@contextlib.contextmanager
def visited():
    """Yield an address, and the list of what was asked of it."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(404)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v", seen
        finally:
            server.shutdown()
            thread.join()
