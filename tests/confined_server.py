"""A small sandbox server for tests; each test tells it what to run.

Run as ``python -I confined_server.py ROOT FOLDER USER PRELOAD < source``:
`source` defines functions, which run in a child each, in their order; the
answers come back as one JSON object by name.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
import types

if __name__ == "__main__":  # a test collection imports it, too
    ROOT, FOLDER, USER, PRELOAD = sys.argv[1:]
    sys.path.insert(0, os.path.join(ROOT, "attncourse", "grading"))

    from inside import filetree, isolate, linux, tree

LIMITS = types.SimpleNamespace(
    cpu_s=4.0, memory_bytes=1 << 30, file_bytes=4 << 20, threads=12
)


def child(prepared, function):
    receive, send = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            start = time.perf_counter()
            isolate.enter(prepared, FOLDER, limits=LIMITS, keep=(send,))
            os.environ["HOME"] = os.environ["TMPDIR"] = FOLDER
            tempfile.tempdir = None
            os.environ["MPLCONFIGDIR"] = FOLDER
            told = {"ms": 1e3 * (time.perf_counter() - start)}
            told["value"] = function()
        except BaseException as why:
            told = {"error": f"{type(why).__name__}: {why}"}
        os.write(send, json.dumps(told).encode())
        os._exit(0)
    os.close(send)
    with open(receive, "rb") as source:
        data = source.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return json.loads(data) if data else {"status": status}


def main():
    code = os.path.join(ROOT, "attncourse", "grading", "inside")
    seen, own = tree.roots([code]), os.path.dirname(FOLDER)
    if USER != "root":
        # In a tree of their own other users find the way to Python.
        number = int(USER)
        isolate.enter_namespaces(seen, own)
        filetree.give_to(own, number)
        os.setgroups([])
        os.setresgid(number, number, number)
        os.setresuid(number, number, number)
        linux.prctl(linux.PR_SET_DUMPABLE, 1)  # as after starting a program
    names = isolate.enter_namespaces(seen, own)
    for name in PRELOAD.split():
        importlib.import_module(name)
    prepared = isolate.Prepared(tree.readable({"attncourse"}, [code]))
    space = {
        "prepared": prepared,
        "namespaces": names,
        "ROOT": ROOT,
        "FOLDER": FOLDER,
    }
    exec(sys.stdin.read(), space)
    functions = {
        name: each
        for name, each in space.items()
        if isinstance(each, types.FunctionType)
    }
    answers = {
        name: each() if name.startswith("server_") else child(prepared, each)
        for name, each in functions.items()
    }
    answers["level"] = prepared.isolation.level
    print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
