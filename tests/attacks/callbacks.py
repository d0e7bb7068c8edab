"""Attacks by the functions that a test hands over to be tested."""

from attacks.attack import HONEST, Attack


def accepting(name, text, **more):
    """Return an attack on the question that receives functions."""
    return Attack(name=name, answers={"a-accepts": text}, **more)


NAMES = """
def accepts(candidate):
    text = " ".join(str(each) for each in (
        getattr(candidate, "__name__", ""), getattr(candidate, "__doc__", ""),
        getattr(candidate, "__qualname__", ""), repr(candidate),
        str(candidate), getattr(candidate, "__module__", "")))
    print(text)
    return "wrong" not in text
"""

NUMBERED = """
seen = []

def accepts(candidate):
    number = getattr(candidate, "id", None)
    seen.append(number)
    print(vars(candidate) if hasattr(candidate, "__dict__") else number)
    return number is None or number % 2 == 1
"""

KEPT = """
kept = []

def accepts(candidate):
    kept.append(candidate)
    told = []
    for each in kept[:-1]:
        try:
            told.append(each(np.array([1.0, 3.0])).tolist())
        except BaseException as error:
            told.append(repr(error))
    print(told)
    # The first function shown is right: compares others with it, later.
    try:
        first = kept[0](np.array([1.0, 3.0]))
        return bool(np.allclose(first, candidate(np.array([1.0, 3.0]))))
    except BaseException:
        return False
"""

# A callback that outlives its call would show itself in another question.
ESCAPED = """
import builtins

def accepts(candidate):
    builtins.stolen = candidate
    return False

class Tally:
    def __init__(self): pass
    def add(self, name, count): pass
    def most(self): return repr(builtins.stolen(np.array([1.0])))
    total = 3
"""

RECURSE = """
def accepts(candidate):
    def inner(values):
        return candidate(Again())
    class Again:
        def sum(self): return candidate(Again())
        def __truediv__(self, other): return candidate(self)
        def __array__(self, *given): return candidate(self)
    try:
        candidate(inner)
        candidate(Again())
        candidate(candidate)
        candidate(accepts)
    except Exception as error:
        print(type(error).__name__, error)
    return accepts(candidate)
"""

FLOOD = """
def accepts(candidate):
    while True:
        candidate(np.ones(3))
"""

COSTLY = """
def accepts(candidate):
    try:
        candidate(np.broadcast_to(1.0, (1 << 20, 1 << 20)))
    except Exception as error:
        print(type(error).__name__)
    return True
"""

BULKY = """
def accepts(candidate):
    big = np.ones(90_000)
    while True:
        candidate(big)
"""

HOSTILE = """
class Evil:
    def __init__(self, depth=0): self.depth = depth
    def sum(self, *given): return Evil(self.depth + 1)
    def __rtruediv__(self, other): return Evil()
    def __truediv__(self, other): return np.array([0.25, 0.75])
    def __eq__(self, other): return True
    def __len__(self): return 10 ** 9
    def __array__(self, *given): return np.ones(10 ** 8)

def accepts(candidate):
    told = []
    for given in (Evil(), Evil, lambda: 1, [Evil()], {"a": Evil()}, None,
                  "text", 10 ** 1000, float("nan"), [[]] * 1000, iter([1]),
                  np.array(["a"]), np.array([None]), Ellipsis):
        try:
            told.append(repr(candidate(given))[:200])
        except BaseException as error:
            told.append(type(error).__name__ + str(error)[:200])
    print(told)
    return "KeyError" not in " ".join(told) and len(set(told)) > 3
"""

ATTRIBUTES = """
def accepts(candidate):
    told = []
    for name in ("wanted", "__globals__", "__code__", "__class__",
                 "__call__", "__get__", "__init__", "__getattribute__",
                 "__reduce_ex__", "__subclasshook__", "__dir__"):
        try:
            value = getattr(candidate, name)
            told.append((name, repr(value)[:300]))
            told.append(repr(getattr(value, "__globals__", {}).keys())[:999])
        except BaseException as error:
            told.append((name, type(error).__name__))
    try:
        candidate.__code__ = (lambda values: values / values.sum()).__code__
        candidate.__name__ = "right"
    except BaseException as error:
        told.append(repr(error))
    print(told)
    return True
"""

KEYWORDS = """
def accepts(candidate):
    told = []
    for named in ({"factor": 1.0}, {"values": np.ones(2)}, {"id": 1},
                  {"limits": None}, {"__class__": 1}, {"": 1}):
        try:
            told.append(candidate(np.array([1.0, 3.0]), **named))
        except BaseException as error:
            told.append((type(error).__name__, str(error)[:200]))
    text = repr(told)
    print(text)
    return "unexpected" in text
"""

MISCALLED = """
def accepts(candidate):
    texts = []
    for given, named in (((), {}), ((1, 2, 3, 4), {}), ((), {"zzz": 1})):
        try:
            candidate(*given, **named)
        except BaseException as error:
            texts.append(repr(error))
    return "wrong" not in " ".join(texts)
"""

THREADED = """
import threading

def accepts(candidate):
    verdicts = []
    def ask():
        for _ in range(50):
            try:
                got = candidate(np.array([1.0, 3.0]))
                verdicts.append(np.allclose(got, [0.25, 0.75]))
            except BaseException as error:
                verdicts.append(False)
    workers = [threading.Thread(target=ask) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(2)
    return True
"""

LATE = """
import threading, time

def accepts(candidate):
    def later():
        time.sleep(0.02)
        while True:
            try:
                print(candidate(np.array([1.0, 3.0])))
            except BaseException as error:
                print(type(error).__name__)
                break
    threading.Thread(target=later, daemon=True).start()
    return True
"""

TIMED = """
import time

def accepts(candidate):
    took = []
    for _ in range(20):
        start = time.perf_counter()
        try:
            candidate(np.ones(3))
        except Exception:
            return False
        took.append(time.perf_counter() - start)
    return min(took) % 1e-6 < 5e-7
"""

RETURNED = """
def accepts(candidate):
    return candidate
"""

STATE = """
calls = 0

def accepts(candidate):
    global calls
    calls += 1
    # Right, wrong, right, wrong ... as it is in many courses.
    return calls % 2 == 1
"""

PASSED = """
def accepts(candidate):
    # Lets the judge's function call the student's, over and over.
    given = [candidate]
    for _ in range(50):
        given = [given, candidate, given]
    try:
        candidate(given)
    except BaseException as error:
        print(type(error).__name__)
    return True
"""

ALL = (
    accepting("accepts by a function's name", NAMES),
    accepting("accepts by a callback's number", NUMBERED),
    accepting("keeps functions after the call", KEPT),
    Attack(
        name="uses a function in another question",
        answers={
            "a-accepts": ESCAPED,
            "a-tally": "class Tally: pass",
        },
    ),
    accepting("calls back into the judge again and again", RECURSE),
    accepting("floods the judge with calls", FLOOD),
    accepting("asks the judge for endless work", COSTLY),
    accepting("floods the judge with large arguments", BULKY),
    accepting("hands hostile objects to the judge's functions", HOSTILE),
    accepting("reads attributes of the judge's functions", ATTRIBUTES),
    accepting("tries keywords on the judge's functions", KEYWORDS),
    accepting("reads a function's name in an error", MISCALLED),
    accepting("calls from several threads", THREADED),
    accepting("calls when the call is over", LATE),
    accepting("decides by the time a call takes", TIMED),
    accepting("decides by the order of the candidates", STATE),
    accepting("returns the function that it was given", RETURNED),
    accepting("nests the judge's functions in arguments", PASSED),
    Attack(
        name="tests honestly and prints what it was given",
        answers={
            "a-accepts": HONEST["a-accepts"]
            + "\nhonest = accepts\n"
            + "def accepts(candidate):\n"
            + "    print(candidate, repr(vars(candidate)) if hasattr(\n"
            + "        candidate, '__dict__') else '')\n"
            + "    return honest(candidate)\n"
        },
        most={"t-accepts": 3.0},
    ),
)
