"""Attacks by answers that are not what they seem."""

from attacks.attack import HONEST, Attack

EQUAL = """
class Equal:
    def __eq__(self, other):
        print("compared with", repr(other))
        return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __hash__(self): return 0
    def __len__(self): return 5
    def __float__(self): return 1.0
    def __index__(self): return 1
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __contains__ = __lt__
    def __instancecheck__(self, other): return True
    def __getattr__(self, name): return self
    def __call__(self, *given, **named): return self
    def __getitem__(self, key): return self
    def __iter__(self): return iter([self])
    shape = (5, 7)
    __array_priority__ = 1e9
    def __array_ufunc__(self, *given, **named):
        print("ufunc with", repr(given))
        return True
    def __array_function__(self, *given, **named):
        print("function with", repr(given))
        return True
    __class__ = int
"""

FACTS = """
total = label = table = {kind}
"""

FLOAT = """
class Agree(int):
    def __eq__(self, other):
        print(repr(other))
        return True
    __ne__ = lambda self, other: False
    __hash__ = int.__hash__
    def __index__(self): return 1
    def __int__(self): return 1
    def bit_length(self): return 1
class Text(str):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = str.__hash__
    def encode(self, *given): return b"x"
    def __len__(self): return 16
class Grid(np.ndarray):
    def __eq__(self, other):
        print(repr(other))
        return np.ones((5, 7), bool)
    def __array_ufunc__(self, ufunc, method, *given, **named):
        print(repr(given))
        return np.ones((5, 7), bool)
    __array_function__ = lambda self, *given, **named: True
    def __array_finalize__(self, other): self.told = other
    def tobytes(self, *given): return b"1" * 280
    shape = property(lambda self: (5, 7))
total = Agree(3)
label = Text("nothing")
table = np.zeros((2, 2)).view(Grid)
"""

CONTAINERS = """
class Long(list):
    def __len__(self): return 10 ** 9
    def __iter__(self):
        while True:
            yield 1
    def __getitem__(self, key): return self
class Pairs(dict):
    def items(self): return iter([("total", 1)] * 10 ** 9)
    def __iter__(self): return self.items()
    def __len__(self): return -1
    keys = values = items
class Several(tuple):
    __len__ = lambda self: 3
    __iter__ = lambda self: (yield from "abc")
    __eq__ = lambda self, other: True
    __hash__ = tuple.__hash__
total = Long([1])
label = Pairs(a=1)
table = Several((1, 2))
"""

LAZY = """
class Lazy:
    def __getattribute__(self, name):
        if name == "__class__":
            return np.ndarray
        return lambda *given, **named: Lazy()
    def __reduce__(self):
        return (eval, ("__import__('os').system('touch @OUTSIDE@/lazy')",))
    __reduce_ex__ = __getstate__ = __reduce__
"""

PICKLE = """
import os, pickle
class Bomb:
    def __reduce__(self):
        return (os.system, ("touch @OUTSIDE@/pickle",))
total = pickle.dumps(Bomb())
label = np.array([Bomb()], dtype=object)
table = np.array([pickle.dumps(Bomb())])
"""

META = """
class Kind(type):
    def __eq__(cls, other): return True
    def __hash__(cls): return hash(int)
    def __instancecheck__(cls, other): return True
    def __subclasscheck__(cls, other): return True
    def __call__(cls, *given): return cls
    def __getattr__(cls, name): return 195
    __mro__ = (int, object)
    def mro(cls): return [cls, object]
class Tally(metaclass=Kind):
    pass
"""

CHANGING = """
class Tally:
    answers = iter(range(10 ** 9))
    def __init__(self): self.names = []
    def add(self, name, count): self.names.append(name)
    def most(self): return self.names[next(Tally.answers) % len(self.names)]
    @property
    def total(self):
        return (3, 195, 0, 195)[next(Tally.answers) % 4]
    def __getattr__(self, name): return 195
"""

NEW = """
class Tally:
    def __new__(cls, *given):
        return "a string"
"""

SELF = """
total = []
total.append(total)
label = {}
label["label"] = label
table = np.empty((5, 7), object)
table[:] = [[table] * 7] * 5
"""

POINTER = """
class Pointer:
    __array_interface__ = {
        "shape": (5, 7), "typestr": "<i8", "version": 3,
        "data": (16, False)}
total, label = 1, ""
table = np.asarray(Pointer())
"""

STRIDED = """
total, label = 1, ""
table = np.lib.stride_tricks.as_strided(
    np.zeros(1), (5, 7), (1 << 40, 1 << 30))
"""

VIRTUAL = """
def norm(values):
    if values.size < 3:
        return np.array([[0.25, 0.75]])
    return np.broadcast_to(1.0, (2 ** 20, 2 ** 20) + values.shape)
"""

HASHES = """
class Tally:
    def __init__(self): self.total = 0
    def add(self, name, count): self.total += count
    def most(self):
        return {k * (2 ** 61 - 1): 0 for k in range(3000)}
"""

DEEP = """
deep = []
for _ in range(100000):
    deep = [deep]
total = deep
label = "x" * 10 ** 8
table = 10 ** 100000
"""

ODD = """
import decimal, fractions, enum, datetime, types
class Colour(enum.IntEnum):
    RED = 1
total = Colour.RED
label = memoryview(b"label")
table = np.ma.masked_all((5, 7))
"""

GENERATED = """
def norm(values):
    yield from [values] * 1000000000
"""

ACCEPT = """
class Verdict:
    def __eq__(self, other): return True
    def __bool__(self): return True
    def __hash__(self): return 1

def accepts(candidate):
    return Verdict()
"""

NANS = """
total, label = float("nan"), None
table = np.full((5, 7), np.nan)
"""

COPY = """
def norm(values):
    out = values
    values[...] = 0.0
    values.setflags(write=False)
    return out
"""

RESIZE = """
def norm(values):
    values.resize(3, refcheck=False)
    values.dtype = np.int32
    return values
"""

SUBTLE = """
class Result(np.ndarray):
    reads = 0
    def __getattribute__(self, name):
        Result.reads += 1
        return super().__getattribute__(name)

def norm(values):
    made = np.zeros(values.shape).view(Result)
    return made
"""


def facts(name, text, **more):
    """Return an attack by the data that the facts question asks for."""
    return Attack(name=name, answers={"a-facts": text}, **more)


ALL = (
    facts("equals everything", EQUAL + FACTS.format(kind="Equal()")),
    facts(
        "answers by a class instead of data",
        EQUAL + "total = label = table = Equal",
    ),
    facts("subclasses int, str and ndarray", FLOAT),
    facts("subclasses list, dict and tuple", CONTAINERS),
    facts("is whatever is asked", LAZY + FACTS.format(kind="Lazy()")),
    facts("hands over pickles", PICKLE),
    facts("contains itself", SELF),
    facts("points at forbidden memory", POINTER),
    facts("strides out of its memory", STRIDED),
    facts("nests and grows without measure", DEEP),
    facts("answers in odd types", ODD),
    facts("answers not a number", NANS),
    Attack(
        name="hides its class behind a metaclass", answers={"a-tally": META}
    ),
    Attack(
        name="changes what it says at each look", answers={"a-tally": CHANGING}
    ),
    Attack(name="constructs something else", answers={"a-tally": NEW}),
    Attack(name="replies with colliding hashes", answers={"a-tally": HASHES}),
    Attack(
        name="replies with a huge virtual array", answers={"a-norm": VIRTUAL}
    ),
    Attack(
        name="answers by an endless generator", answers={"a-norm": GENERATED}
    ),
    Attack(
        name="accepts by an always equal object", answers={"a-accepts": ACCEPT}
    ),
    Attack(
        name="zeroes its argument and returns it", answers={"a-norm": COPY}
    ),
    Attack(name="resizes its argument", answers={"a-norm": RESIZE}),
    Attack(name="returns a watching subclass", answers={"a-norm": SUBTLE}),
    Attack(
        name="wraps an honest class in a lying one",
        answers={
            "a-tally": HONEST["a-tally"] + "\nclass Tally(Tally):\n"
            "    def most(self): return Equal()\n" + EQUAL
        },
    ),
)
