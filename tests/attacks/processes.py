"""Attacks on processes and memory."""

from attacks.attack import HONEST, PRELUDE, Attack
from attacks.timing import norm
from nbformat.v4 import new_code_cell

LOST = ("crashed", "out-of-memory", "error", "timeout")

FORKS = (
    PRELUDE
    + """
import multiprocessing, pty, subprocess

def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                open("@OUTSIDE@/daemon", "a").write("alive")
        os._exit(0)
    return "forked"

attempt("fork", daemon)
attempt("forkpty", pty.fork)
attempt("vfork", lambda: subprocess.run(["/bin/true"]).returncode)
attempt("shell", lambda: subprocess.check_output("id", shell=True))
attempt("spawn", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("exec", lambda: os.execv("/bin/true", ["true"]))
attempt("exec python", lambda: os.execv(sys.executable, ["python"]))
attempt("popen", lambda: os.popen("id").close() is None and 1 / 0)
def start():
    process = multiprocessing.get_context("fork").Process(target=print)
    process.start()
    return process.pid
attempt("multiprocessing", start)
"""
)

SIGNALS = (
    PRELUDE
    + """
import signal
# First those that only ask whether a signal could be sent.
for number in (0, signal.SIGSTOP, signal.SIGKILL):
    for name, target in (("victim", @VICTIM@), ("init", 1),
                         ("parent", os.getppid() or 1)):
        attempt(f"kill {name} {number}",
                lambda: os.kill(target, number))
    attempt(f"killpg {number}", lambda: os.killpg(@VICTIM@, number))
attempt("pidfd", lambda: signal.pidfd_send_signal(
    os.pidfd_open(@VICTIM@), signal.SIGKILL))
"""
)

EVERYBODY = """
import os, signal
for target in (-1, 0, os.getppid() or -1):
    try:
        os.kill(target, signal.SIGKILL)
    except OSError as error:
        print(error)
"""

RIGHTS = (
    PRELUDE
    + """
import ctypes, resource
libc = ctypes.CDLL(None, use_errno=True)

def raised(kind):
    soft, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY:
        raise OSError("no limit to raise")
    resource.setrlimit(kind, (hard * 2, hard * 2))
    return resource.getrlimit(kind)

for kind in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE",
             "RLIMIT_CORE"):
    attempt(kind, lambda: raised(getattr(resource, kind)))

def prctl(*given):
    if libc.prctl(*given) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return libc.prctl(39, 0, 0, 0, 0)

def capable():
    text = open("/proc/self/status").read()
    return [line for line in text.splitlines() if "CapEff" in line]

attempt("new privileges", lambda: 1 / (prctl(38, 0, 0, 0, 0) - 1))
attempt("root", lambda: os.getuid() == 0 and os.setuid(0) or 1 / os.getuid()
        and 1 / 0)
attempt("nice", lambda: os.nice(-20))
attempt("realtime", lambda: os.sched_setscheduler(
    0, os.SCHED_FIFO, os.sched_param(1)))
attempt("hostname", lambda: __import__("socket").sethostname("attacked"))
attempt("core", lambda: libc.prctl(4, 1) and 1 / 0 or 1 / 0)
"""
)


def loses(name, body, verdicts=LOST, **more):
    """Return an attack in which the call of `norm` kills its process."""
    return Attack(
        name=name,
        answers={"a-norm": norm(body)},
        verdicts={"t-norm": verdicts},
        **more,
    )


LISTS = "    kept = []\n    while True: kept.append(bytearray(1 << 22))"
ARRAY = "    np.ones((1 << 27, 8)).sum()"
MAPS = """    import mmap
    kept = []
    while True:
        kept.append(mmap.mmap(-1, 1 << 24))
        kept[-1].write(b"x" * (1 << 24))"""
TEXT = "    'x' * (1 << 34)"
SHARED = """    import ctypes
    kept = []
    while True:
        fd = os.memfd_create("more")
        os.truncate(fd, 1 << 28)
        os.write(fd, b"x" * (1 << 25))
        kept.append(fd)"""
UNSEEN = """    kept = []
    for _ in range(900):
        fd = os.memfd_create("unseen")
        os.write(fd, b"x" * (1 << 20))
        kept.append(fd)
    raise ValueError(len(kept))"""
SEGFAULT = "    import ctypes; ctypes.string_at(0)"
DEEP = "    sys.setrecursionlimit(10 ** 9)\n    return norm(values)"
MANY = """    import threading
    while True:
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
"""
CORRUPT = """    import ctypes
    ctypes.memset(id(None), 0, 64)
    ctypes.memset(id(values), 65, 96)"""


def crashing(notebook):
    for number in range(30):
        notebook.cells.insert(
            2, new_code_cell(f"import os; os._exit({number})")
        )


def long_and_crashing(notebook):
    leave = "import os; os._exit(0)"
    deep = "x = 1; y = " + "[" * 150 + "]" * 150
    for text in ("x = 1\n" * 5_000, "x = 1; " * 5_000, deep + "\n"):
        notebook.cells.insert(2, new_code_cell(text + leave))


def looping(notebook):
    for number in range(4):
        notebook.cells.insert(2, new_code_cell(f"x = {number}\nwhile x: pass"))


ALL = (
    Attack(name="starts processes", first=FORKS, refused=True),
    Attack(name="sends signals to others", first=SIGNALS, refused=True),
    Attack(
        name="sends signals to everybody",
        last=EVERYBODY,
    ),
    Attack(name="raises its limits and rights", first=RIGHTS, refused=True),
    loses("fills memory with lists", LISTS, ("out-of-memory",)),
    loses("fills memory with one array", ARRAY, ("out-of-memory",)),
    loses("fills memory with maps", MAPS, (*LOST, "fail")),
    loses("fills memory with one text", TEXT, ("out-of-memory",)),
    loses("fills memory files", SHARED, (*LOST, "fail")),
    loses("fills memory that is counted nowhere", UNSEEN, LOST),
    loses("leaves at once", "    os._exit(0)", ("crashed",)),
    loses("aborts", "    os.abort()", ("crashed",)),
    loses("reads address zero", SEGFAULT, ("crashed",)),
    loses("overwrites objects in memory", CORRUPT, ("crashed", "timeout")),
    loses("recurses as deep as it can", DEEP, LOST),
    loses("raises SystemExit", "    sys.exit(0)", LOST),
    loses("recurses without end", "    return norm(values)", ("error",)),
    loses("starts threads without end", MANY, (*LOST, "fail")),
    loses(
        "kills itself",
        "    import signal; signal.raise_signal(9); os.kill(os.getpid(), 9)",
        (*LOST, "fail"),
    ),
    loses("stops itself", "    import signal; signal.raise_signal(19)", LOST),
    Attack(
        name="leaves at the top level of an answer",
        answers={"a-tally": HONEST["a-tally"] + "\nimport os; os._exit(0)"},
        most={"t-tally": 3.0},
    ),
    Attack(
        name="crashes in a cell of its own",
        first="import ctypes; ctypes.string_at(0)",
    ),
    Attack(
        name="bombs memory in a cell of its own",
        first="kept = [bytearray(1 << 24) for _ in iter(int, 1)]",
    ),
    Attack(
        name="asks for input, quits and raises at the top level",
        first="input('points? ')",
        last="quit()\nexit()\nraise SystemExit(0)",
    ),
    Attack(name="crashes in each of many cells", change=crashing),
    Attack(name="loops in each of many cells", change=looping),
    Attack(name="crashes in cells of many lines", change=long_and_crashing),
    Attack(
        name="imports what is not there",
        answers={
            "a-facts": "import no_such_module_at_all\n"
            "total, label, table = 1, '', np.zeros((5, 7))"
        },
    ),
)
