"""From the fork to the first request: how a child begins."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import tempfile
import types
from typing import Any

from . import child, isolate, pages, wire
from .channel import Channel, ChannelError
from .shell import Shell

NOT_ISOLATED = 70  # the exit status of a child that could not be shut in
LONGEST = 1 << 40  # the judge may send as much as it likes


def live(
    sock: socket.socket,
    folder: str,
    request: dict[str, Any],
    *,
    prepared: isolate.Prepared,
    shell: Shell,
) -> None:
    """Shut this process in, then answer requests until nobody asks."""
    signal.set_wakeup_fd(-1)
    pages.use_small()
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    shell.open(visible=request["visible"])
    limits = types.SimpleNamespace(**request["limits"])
    keep = (1, 2, sock.fileno())
    try:
        room = request["room_bytes"]
        isolate.enter(prepared, folder, limits=limits, keep=keep, room=room)
    except Exception as error:
        sock.send(b"!" + str(error).encode()[:1000])
        os._exit(NOT_ISOLATED)
    sock.send(b"+")
    settle_in(request["seed"])
    server = child.Server(Channel(sock, LONGEST), shell)
    try:
        server.serve()
    except (ChannelError, wire.WireError):
        os._exit(0)


def settle_in(seed: int) -> None:
    """Make the folder home, and chance repeatable."""
    folder_is_home()
    tempfile.tempdir = None
    sys.path.insert(0, os.getcwd())
    random.seed(seed)
    sys.modules["numpy"].random.seed(seed % (1 << 32))
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.manual_seed(seed % (1 << 63))


def folder_is_home() -> None:
    """Make the working directory the place for everything."""
    here = os.getcwd()
    for name in ("HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "PWD"):
        os.environ[name] = here
    for name in ("USER", "LOGNAME"):  # the system knows no name for it
        os.environ[name] = "student"
