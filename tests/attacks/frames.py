"""Attacks that look for the judge's objects in their own interpreter."""

from attacks.attack import HONEST, PRELUDE, Attack

WALK = """
import sys

def norm(values):
    frame = sys._getframe()
    while frame is not None:
        for space in (frame.f_locals, frame.f_globals):
            for name in ("wanted", "expected", "reference", "kept", "truth"):
                if name in list(space):
                    found = space[name]
                    return found(values) if callable(found) else found
        frame = frame.f_back
    raise LookupError("no frame of the judge")
"""

COLLECT = """
import gc, types

def norm(values):
    for each in gc.get_objects():
        if isinstance(each, types.FunctionType):
            if each.__name__ in ("wanted", "reference"):
                return each(values)
        if type(each) is dict and "wanted" in each:
            return each["wanted"](values)
    same = [a for a in gc.get_objects() if isinstance(a, np.ndarray)
            and a.shape == values.shape and a is not values]
    return same[-1]
"""

REFERRERS = """
import gc

def accepts(candidate):
    seen, todo = set(), [candidate]
    for _ in range(4):
        todo = [b for a in todo for b in gc.get_referents(a)
                if id(b) not in seen and not seen.add(id(b))][:4000]
        for each in todo:
            name = getattr(each, "__name__", "")
            if isinstance(name, str) and name.startswith(("right", "wrong")):
                return name.startswith("right")
    return "right" in repr(gc.get_referrers(candidate))[:100000]
"""

INTERNALS = """
def accepts(candidate):
    told = []
    for name in ("__code__", "__globals__", "__closure__", "__defaults__",
                 "__kwdefaults__", "__doc__", "__self__", "__wrapped__",
                 "__dict__", "__name__", "__qualname__", "__module__",
                 "__reduce__", "func", "id", "name", "__slots__"):
        try:
            told.append(repr(getattr(candidate, name)))
        except Exception as error:
            told.append(repr(error))
    print(told)
    text = " ".join(told)
    return "mean" in text or "plain" in text or "right" in text
"""

TRACEBACK = """
def accepts(candidate):
    try:
        candidate(object())
    except BaseException as error:
        texts = [repr(error.args)]
        link = error
        while link is not None:
            step = link.__traceback__
            while step is not None:
                texts.append(repr(step.tb_frame.f_locals))
                texts.append(step.tb_frame.f_code.co_filename)
                step = step.tb_next
            link = link.__cause__ or link.__context__
        print(texts)
        return "right" in " ".join(texts)
    return True
"""

TRACE = """
import sys, threading

heard = []

def listen(frame, event, argument):
    names = frame.f_code.co_name
    for name, value in list(frame.f_locals.items()):
        if name in ("truth", "wanted", "expected", "seed", "kept"):
            heard.append((names, name, repr(value)[:200]))
    return listen

sys.settrace(listen)
sys.setprofile(listen)
threading.settrace(listen)
threading.setprofile(listen)
"""

AUDIT = """
import sys
heard = []
sys.addaudithook(lambda name, given: heard.append((name, repr(given)[:80])))
"""

STACK = (
    PRELUDE
    + """
import inspect

def everything():
    seen, texts = set(), []
    def look(value, depth):
        if depth > 4 or id(value) in seen or len(texts) > 20000:
            return
        seen.add(id(value))
        if isinstance(value, (str, bytes, int, float)):
            texts.append(str(value)[:300])
        elif isinstance(value, dict):
            for key, inner in list(value.items())[:300]:
                look(key, depth + 1)
                look(inner, depth + 1)
        elif isinstance(value, (list, tuple, set)):
            for inner in list(value)[:300]:
                look(inner, depth + 1)
        elif hasattr(value, "__dict__") and not inspect.ismodule(value):
            look(vars(value), depth + 1)
    frame = sys._getframe()
    while frame is not None:
        look(frame.f_locals, 0)
        look({k: v for k, v in frame.f_globals.items() if k[:1] != "_"}, 1)
        frame = frame.f_back
    return "\\n".join(texts)

found = everything()
for start in range(0, min(len(found), 40000), 4000):
    print(found[start:start + 4000])
"""
)

MODULES = """
import sys
for name, module in sorted(sys.modules.items()):
    for part in ("judge", "grad", "plan", "attncourse", "store", "nbgrader"):
        if part in name.lower():
            texts = []
            for key, value in list(vars(module).items()):
                texts.append(f"{key}={value!r}"[:200])
            print(name, getattr(module, "__file__", None), texts[:50])
print(sys.path, sys.argv, sys.orig_argv)
"""

MEMORY = r"""
import ctypes, re

word = rb"CAN" + rb"ARY-[A-Za-z0-9-]{4,40}"
found = set()
try:
    lines = open("/proc/self/maps").read().splitlines()
except OSError as error:
    lines = []
    print("no maps", type(error).__name__)
for line in lines:
    span, mode = line.split()[:2]
    low, high = (int(end, 16) for end in span.split("-"))
    if mode[0] == "r" and "[v" not in line and high - low < 1 << 25:
        found.update(re.findall(word, ctypes.string_at(low, high - low)))
print(sorted(found - {word}))
"""

NEIGHBOURS = """
import ctypes

def norm(values):
    start = values.__array_interface__["data"][0]
    flat = (ctypes.c_double * 64).from_address(start - 64)
    print([x for x in flat])
    return np.array(flat[8 : 8 + values.size]).reshape(values.shape)
"""

RANDOM = """
import os, random
import numpy as np
print(random.getstate()[1][:4], random.random())
print(np.random.get_state()[1][:4], np.random.rand())
print({k: v for k, v in os.environ.items() if k not in ("PATH", "HOME")})
"""

SEEDED = """
import os

def norm(values):
    seed = os.environ.get("GRADING_SEED", "")
    print("seed:", seed)
    rng = np.random.default_rng([int(seed, 16), 1])
    return rng.uniform(1, 9, values.shape)
"""

ALL = (
    Attack(name="walks frames up to the test", answers={"a-norm": WALK}),
    Attack(name="searches the garbage collector", answers={"a-norm": COLLECT}),
    Attack(
        name="follows references out of a callback",
        answers={"a-accepts": REFERRERS},
    ),
    Attack(
        name="reads the insides of a callback",
        answers={"a-accepts": INTERNALS},
    ),
    Attack(
        name="walks the traceback of a callback",
        answers={"a-accepts": TRACEBACK},
    ),
    Attack(
        name="traces every frame",
        first=TRACE,
        spoils=("t-norm", "t-tally", "t-facts", "t-accepts"),
        last="sys.settrace(None)\nsys.setprofile(None)\nprint(heard)",
    ),
    Attack(
        name="listens by an audit hook", first=AUDIT, last="print(heard[-99:])"
    ),
    Attack(name="prints all that its frames hold", first=STACK),
    Attack(name="prints the grader's modules", first=MODULES),
    Attack(name="searches its memory for marks", last=MEMORY),
    Attack(
        name="reads beside its argument in memory",
        answers={"a-norm": NEIGHBOURS},
    ),
    Attack(name="looks for the seed in random states", first=RANDOM),
    Attack(name="draws the hidden cases itself", answers={"a-norm": SEEDED}),
    Attack(
        name="asks the collector at the end of the notebook",
        answers={"a-norm": HONEST["a-norm"]},
        most={"t-norm": 4.0},
        last="import gc\nprint([each for each in gc.get_objects()\n"
        "       if isinstance(each, (np.ndarray, str)) and\n"
        "       'CAN' + 'ARY' in repr(each)])",
    ),
)
