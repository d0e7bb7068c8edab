"""Attacks by names and by exceptions that lie."""

from attacks.attack import HONEST, Attack

# Raised where a test is in the middle of a loop over `map(norm, inputs)`.
RAISED = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    raise {error}
"""


def raises(name, error, before="", **more):
    """Return an attack in which the hidden calls raise `error`."""
    text = before + RAISED.format(error=error)
    return Attack(name=name, answers={"a-norm": text}, **more)


LYING = """
class Liar(Exception):
    def __str__(self):
        while True:
            pass
    __repr__ = __str__
"""

FLOOD = """
class Large(Exception):
    def __str__(self): return "x" * (1 << 30)
"""

FAILS = """
class Kind(type):
    def mro(cls): return [cls, AssertionError, Exception, BaseException,
                          object]
    __name__ = property(lambda cls: 1 / 0)
    def __getattribute__(cls, name): return 1 / 0
class Broken(AssertionError, metaclass=Kind):
    def __str__(self): raise Broken
    def __getattribute__(self, name): raise SystemExit
"""

CLASSED = """
class Pretend(Exception):
    __class__ = StopIteration
    __name__ = "pass"
    verdict, points = "pass", 4.0
"""

CHAINED = """
def chain():
    error = ValueError("last")
    error.__cause__ = error.__context__ = error
    for _ in range(50000):
        error = KeyError(error)
        error.__context__ = ValueError()
    return error
"""

WARNED = """
import warnings
warnings.simplefilter("error")
def warned():
    warnings.warn("12 points", UserWarning)
"""

LOOKALIKE = """
def n\\u006frm(values): return values
ｎｏｒｍ = lambda values: values
nоrm = lambda values: 12
""".replace("\\u006f", "o")

HUGE = """
norm = type("N" * 10 ** 6, (), {"__call__": lambda self, values: values,
            "__doc__": "d" * 10 ** 7})()
class Tally:
    __doc__ = "d" * 10 ** 7
    __name__ = property(lambda self: 1 / 0)
    __module__ = "m" * 10 ** 6
    def add(self, *given): pass
    most = total = None
for number in range(100000):
    globals()[f"name_{number}"] = number
"""

SHAPES = """
def norm(values, _hidden=print, *, points=12.0, **more):
    return values
norm.__signature__ = 12
norm.__defaults__ = (eval,)
norm.__annotations__ = {"values": "__import__('os')._exit(0)"}
norm.__wrapped__ = norm
norm.__text_signature__ = "(" * 10000
"""

TAKEN = """
accepts = candidate = truth = mixed = None
def __getattr__(name):
    print("asked for", name)
    return 12.0
globals()["GRADING_SEED"] = 1
globals()["norm.__call__"] = 1
globals()["<script>"] = globals()["../../x"] = 1
"""

CLASSES = r"""
run = "<img src=x onerror=document.title='PWN'+'ED'>\x1b[2J\u202e"
Bad = type(run, (), {"__module__": run, "__doc__": run})
total = Bad()
label = type(run, (Bad,), {})
table = lambda: run
table.__name__ = table.__qualname__ = run
"""

# Notebooks whose student bears a hostile name.
HOSTILE = {
    "path": "../../../attack-student",
    "markup": "<script>document.title='PWN'+'ED'</script>",
    "formula": '=HYPERLINK("http://127.0.0.1:1")',
    "quotes": "x'; DROP TABLE grade; --\"",
    "terminal": "\x1b[2J\u202epoints",
    "long": "n" * 3000,
    "template": "{{ 7 * 7 }}{% include '/etc/passwd' %}",
}

ALL = (
    raises("ends the test's loop by StopIteration", "StopIteration"),
    raises("ends by a StopIteration with a value", "StopIteration(values)"),
    raises("ends by StopAsyncIteration", "StopAsyncIteration"),
    raises("ends by GeneratorExit", "GeneratorExit"),
    raises("ends by SystemExit", "SystemExit(0)"),
    raises("ends by KeyboardInterrupt", "KeyboardInterrupt"),
    raises("ends by BaseException", "BaseException('12')"),
    raises("says that it is unfinished", "NotImplementedError"),
    raises(
        "says that memory is gone",
        "MemoryError",
        verdicts={"t-norm": ("out-of-memory", "error", "fail")},
    ),
    raises("raises an exception that never tells", "Liar()", LYING),
    raises("raises an exception of a gigabyte", "Large()", FLOOD),
    raises("raises an exception without a name", "Broken()", FAILS),
    raises("raises an exception that lies", "Pretend('12')", CLASSED),
    raises("raises an endless chain", "chain()", CHAINED),
    raises("raises a warning", "warned() or 1", WARNED),
    raises(
        "raises a subclass of StopIteration",
        "Quiet(values)",
        "class Quiet(StopIteration): pass",
    ),
    raises("raises what is no exception", "12.0"),
    raises(
        "raises a pickle",
        "Odd()",
        "class Odd(Exception):\n"
        "    def __reduce__(self):\n"
        "        return (exec, (\"open('@OUTSIDE@/raised', 'w')\",))\n",
    ),
    Attack(
        name="defines a name that looks alike",
        answers={"a-norm": LOOKALIKE},
    ),
    Attack(
        name="bears names of a megabyte",
        answers={"a-norm": HUGE, "a-tally": "pass"},
    ),
    Attack(
        name="answers by classes named as scripts",
        answers={"a-facts": CLASSES},
        banned=("<img src=x onerror",),
    ),
    Attack(name="lies about its signature", answers={"a-norm": SHAPES}),
    Attack(name="binds hostile names", last=TAKEN),
    *(
        Attack(
            name=f"its student has a name of {kind}",
            answers={"a-norm": HONEST["a-norm"]},
            most={"t-norm": 4.0},
            student=name,
        )
        for kind, name in HOSTILE.items()
    ),
)
