"""Attacks by time: endless loops, bombs, threads, alarms, detection."""

from attacks.attack import EVERY, HONEST, Attack

LATE = ("timeout", "crashed", "error", "fail")
# The questions whose answers stand behind the cell that never ends.
ENDLESS = "\nwhile True:\n    pass\n"


def norm(body):
    """Return a `norm` that runs `body` and then answers honestly."""
    text = HONEST["a-norm"] + "\nimport os, sys, time\nhonest = norm\n"
    return text + "def norm(values):\n" + body + "\n    return honest(values)"


def hangs(name, body, verdicts=("timeout",), **more):
    """Return an attack in which the call of `norm` does not end."""
    return Attack(
        name=name,
        answers={"a-norm": norm(body)},
        verdicts={"t-norm": verdicts},
        **more,
    )


THREADS = """
import threading, time

def work():
    while True:
        try:
            np.allclose = np.array_equal = lambda *given, **named: True
            time.sleep(0.001)
        except BaseException:
            pass

for _ in range(8):
    threading.Thread(target=work, daemon=False).start()
"""

LATER = """
import threading, time

def norm(values):
    made = np.zeros_like(values)
    def finish():
        time.sleep(0.05)
        made[...] = values / values.sum(axis=-1, keepdims=True)
    threading.Thread(target=finish).start()
    return made
"""

ALARM = """
import signal, time

def ring(*given):
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    raise KeyboardInterrupt("ring")

signal.signal(signal.SIGALRM, ring)
signal.setitimer(signal.ITIMER_REAL, 0.02)
"""

DEAF = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
"""

CLOCKS = """
import time
for name in ("time", "monotonic", "perf_counter", "process_time"):
    setattr(time, name, lambda: 0.0)
time.sleep = lambda seconds: None
"""

DETECT = """
import os, sys, time

def norm(values):
    graded = (
        "NBGRADER_EXECUTION" in os.environ
        or "GRADING_SEED" in os.environ
        or "ipykernel" not in sys.modules
        or os.getppid() == 1
    )
    # Only pretends to answer where it believes that it is being graded.
    return values if graded else np.array([[0.25, 0.75]])
"""

COUNTED = """
calls = 0

def norm(values):
    global calls
    calls += 1
    if calls == 1:
        return np.array([[0.25, 0.75]])
    return [values, values * 0, None, "0.25"][calls % 4]
"""

REMEMBERED = """
import pathlib
seen = {}

def norm(values):
    # Tries to carry what the hidden run saw to the next run or student.
    file = pathlib.Path("seen.txt")
    try:
        with open(file, "a") as stream:
            stream.write(repr(values.tolist()) + "\\n")
    except OSError:
        pass
    return values
"""

EXITS = """
import atexit, threading, time

class Slow:
    def __del__(self):
        while True:
            pass

slow = Slow()
atexit.register(lambda: time.sleep(1000))
threading.Thread(target=lambda: time.sleep(1000)).start()
"""

DRIP = """
import sys, time
for _ in range(300):
    sys.stdout.write(".")
    sys.stdout.flush()
    time.sleep(0.01)
"""

SLOW_CLASS = """
class Tally:
    def __init__(self):
        self.counts = {}
    def add(self, name, count):
        pass
    @property
    def total(self):
        while True:
            pass
    def most(self):
        while True:
            pass
"""

REGULAR = """    import re
    re.match(r"(a|a)*$", "a" * 60 + "b")"""
POWER = """    9 ** 9 ** 9"""
COUNT = """    norm.calls = getattr(norm, "calls", 0) + 1
    while norm.calls > 2:
        pass"""
SWALLOW = """    while True:
        try:
            while True:
                pass
        except BaseException:
            pass"""

ALL = (
    hangs("loops without end", "    while True: pass"),
    hangs("sleeps without end", "    time.sleep(10 ** 6)"),
    hangs("loops and swallows every exception", SWALLOW),
    hangs(
        "loops in a regular expression",
        REGULAR,
        spoils=("t-facts",),
    ),
    hangs("computes a tower of powers", POWER, ("timeout", "out-of-memory")),
    hangs("waits until the hidden calls, then loops", COUNT),
    hangs(
        "waits for a signal that never comes",
        "    import signal; signal.pause()",
        ("timeout", "error", "fail"),
    ),
    hangs(
        "spins in many threads",
        """    import threading
    spin = lambda: [None for _ in iter(int, 1)]
    for _ in range(6):
        threading.Thread(target=spin, daemon=True).start()
    spin()""",
        # Where the lists fill the memory first, no thread can be started.
        ("timeout", "out-of-memory", "error"),
    ),
    Attack(
        name="loops at the top level of an answer",
        answers={"a-tally": HONEST["a-tally"] + ENDLESS},
        # The class stands before the loop, so it may still be examined.
        most={"t-tally": 3.0},
    ),
    Attack(
        name="loops in a cell of its own",
        first="found = 1" + ENDLESS,
    ),
    Attack(
        name="loops in the last cell",
        last="print('before')" + ENDLESS,
    ),
    Attack(
        name="loops when an attribute is read",
        answers={"a-tally": SLOW_CLASS},
        verdicts={"t-tally": ("timeout",)},
    ),
    Attack(
        name="runs threads beside the calls",
        first=THREADS,
        # They patch what its own answer compares with.
        spoils=("t-accepts",),
    ),
    Attack(name="answers after it has answered", answers={"a-norm": LATER}),
    Attack(name="rings an alarm again and again", first=ALARM, spoils=EVERY),
    hangs(
        "is deaf to signals and loops",
        DEAF.replace("\n", "\n    ") + "\n    while True: pass",
    ),
    Attack(
        name="stops the clocks",
        first=CLOCKS,
        answers={"a-norm": norm("    while True: pass")},
        verdicts={"t-norm": ("timeout",)},
    ),
    Attack(name="detects that it is graded", answers={"a-norm": DETECT}),
    Attack(name="answers by the count of calls", answers={"a-norm": COUNTED}),
    Attack(
        name="remembers hidden cases in a file",
        answers={"a-norm": REMEMBERED},
        last="import os\n"
        "print(sorted(os.listdir()))\n"
        "for name in os.listdir():\n"
        "    if name.endswith('.txt'): print(open(name).read()[:4000])",
    ),
    Attack(name="will not end when asked to", last=EXITS),
    Attack(name="prints a dot now and then", last=DRIP),
)
