"""Ways in which students write an answer that is right.

Each is a cell's text in which RIGHT stands for a right answer's source and
NAME for the function's name; a new function takes its place.
"""

from __future__ import annotations

import re


def wrapped(text: str) -> str:
    """Return a cell: the right answer as NAME_plain, and then `text`."""
    return f"RIGHT\n\n\nNAME_plain = NAME\n\n\n{text.strip()}"


def filled(text: str, right: str, name: str) -> str:
    """Return a style's cell for one question."""
    return re.sub("NAME", name, text).replace("RIGHT", right.strip())


CALL = "NAME_plain(*args, **kwargs)"
DEF = "def NAME(*args, **kwargs):"

FUNCTIONS = {
    "an object": wrapped(f"""
class NAME_Answer:
    def __init__(self):
        self.calls = 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return {CALL}


NAME = NAME_Answer()"""),
    "an abstract class": wrapped(f"""
from abc import ABC, abstractmethod


class NAME_Base(ABC):
    @abstractmethod
    def __call__(self, *args, **kwargs): ...


class NAME_Real(NAME_Base):
    def __call__(self, *args, **kwargs):
        return {CALL}


NAME = NAME_Real()"""),
    "a class that makes no object": wrapped(f"""
class NAME:
    def __new__(cls, *args, **kwargs):
        return {CALL}"""),
    "a bound method": wrapped(f"""
class NAME_Model:
    def forward(self, *args, **kwargs):
        return {CALL}


NAME = NAME_Model().forward"""),
    "a class method": wrapped("""
class NAME_Tools:
    function = staticmethod(NAME_plain)

    @classmethod
    def both(cls, *args, **kwargs):
        return cls.function(*args, **kwargs)


NAME = NAME_Tools.both"""),
    "a partial": wrapped("""
import functools


def NAME_with(function, *args, **kwargs):
    return function(*args, **kwargs)


NAME = functools.partial(NAME_with, NAME_plain)"""),
    "a lambda": wrapped(f"NAME = lambda *args, **kwargs: {CALL}"),
    "a closure": wrapped("""
def NAME_maker(function):
    calls = 0

    def answer(*args, **kwargs):
        nonlocal calls
        calls += 1
        return function(*args, **kwargs)

    return answer


NAME = NAME_maker(NAME_plain)"""),
    "decorated": """
import functools
import time

NAME_TIMES = []


def NAME_timed(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            NAME_TIMES.append(time.perf_counter() - start)

    return inner


@NAME_timed
RIGHT""",
    "with defaults": wrapped(f"""
def NAME(*args, epsilon=0.0, debug=False, **kwargs):
    return {CALL}"""),
    "vectorized": wrapped("""
NAME_each = np.vectorize(
    lambda box: NAME_plain(*box[0], **box[1]), otypes=[object]
)


def NAME(*args, **kwargs):
    box = np.empty(1, dtype=object)
    box[0] = args, kwargs
    return NAME_each(box)[0]"""),
    "remembers by content": wrapped(f"""
NAME_memory = {{}}


{DEF}
    key = repr((args, kwargs)), *(np.asarray(a).tobytes() for a in args)
    if key not in NAME_memory:
        NAME_memory[key] = {CALL}
    return NAME_memory[key]"""),
    "one buffer for all results": wrapped(f"""
NAME_buffers = {{}}


{DEF}
    value = {CALL}
    if not isinstance(value, np.ndarray):
        return value
    buffer = NAME_buffers.setdefault(value.shape, np.empty(value.shape))
    buffer[...] = value
    return buffer"""),
    "global state": wrapped(f"""
NAME_COUNT, NAME_LAST = 0, None


{DEF}
    global NAME_COUNT, NAME_LAST
    NAME_COUNT += 1
    NAME_LAST = {CALL}
    return NAME_LAST"""),
    "in a pool of threads": wrapped(f"""
from concurrent.futures import ThreadPoolExecutor


{DEF}
    with ThreadPoolExecutor(4) as pool:
        futures = [
            pool.submit(NAME_plain, *args, **kwargs) for _ in range(4)
        ]
        return [future.result() for future in futures][-1]"""),
    "in a thread": wrapped(f"""
import queue
import threading


{DEF}
    results = queue.Queue()
    thread = threading.Thread(target=lambda: results.put({CALL}))
    thread.start()
    thread.join()
    return results.get()"""),
    "in an event loop": wrapped(f"""
import asyncio


{DEF}
    async def later():
        await asyncio.sleep(0)
        return {CALL}

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(later())
    finally:
        loop.close()"""),
    "by a generator": wrapped(f"""
def NAME_steps(*args, **kwargs):
    yield {CALL}


{DEF}
    return next(NAME_steps(*args, **kwargs))"""),
    "five thousand calls deep": wrapped(f"""
import sys

sys.setrecursionlimit(20_000)


def NAME_down(depth, *args, **kwargs):
    if depth == 0:
        return {CALL}
    return NAME_down(depth - 1, *args, **kwargs)


{DEF}
    return NAME_down(5_000, *args, **kwargs)"""),
    "noisy": wrapped(f"""
import logging
import sys
import warnings


{DEF}
    print("called with", [np.shape(each) for each in args])
    for k in range(100):
        bar = "#" * (k // 10)
        sys.stderr.write(f"\\r{{k:3d}}%|{{bar:10s}}| {{k}}/100 [00:00<00:00]")
    sys.stdout.write("x" * 10_000 + "\\n")
    logging.getLogger("mine").warning("careful")
    warnings.warn("something is old", DeprecationWarning)
    np.log(np.zeros(3))
    return {CALL}"""),
    "displays": wrapped(f"""
from IPython.display import HTML, clear_output, display


{DEF}
    display(HTML("<b>bold</b>"))
    clear_output(wait=True)
    return {CALL}


display(NAME)
NAME"""),
    "draws random numbers": wrapped(f"""
import random

np.random.seed(0)
random.seed(0)
NAME_rng = np.random.default_rng()


{DEF}
    np.random.seed(1)
    np.random.normal(size=3), NAME_rng.normal(), random.random()
    return {CALL}"""),
    "pickles an object of its own": wrapped(f"""
import copy
import pickle


class NAME_Box:
    def __init__(self, value):
        self.value = value


{DEF}
    box = pickle.loads(pickle.dumps(NAME_Box((args, kwargs))))
    args, kwargs = copy.deepcopy(box.value)
    return {CALL}"""),
    "dataclasses": wrapped("""
import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class NAME_Kind(enum.Enum):
    ONE = 1


class NAME_Pair(NamedTuple):
    first: Any
    second: Any


@dataclass(frozen=True)
class NAME_Call:
    args: tuple
    kwargs: dict = field(default_factory=dict)
    kind: NAME_Kind = NAME_Kind.ONE

    def run(self, function):
        return function(*self.args, **self.kwargs)


def NAME(*args, **kwargs):
    value = NAME_Call(args, kwargs).run(NAME_plain)
    if type(value) is tuple and len(value) == 2:
        return NAME_Pair(*value)
    return value"""),
    "annotated": "from __future__ import annotations\n\n"
    + wrapped(f"""
from collections.abc import Callable

import numpy.typing as npt

try:
    from jaxtyping_that_is_not_there import Array, Float
except ImportError:
    Array = Float = None


def NAME(*args: Float[Array, "... keys"], **kwargs) -> Float[Array, "..."]:
    value: npt.NDArray[np.float64] | tuple = {CALL}
    return value"""),
    "names that are not ASCII": wrapped("""
größe_NAME = NAME_plain
τ = 2.0  # Температура 温度 🌡️


def NAME(*αργ, **κ):
    \"\"\"Größer – «so» … 🙂.\"\"\"
    Σ = größe_NAME(*αργ, **κ)
    return Σ"""),
    "tabs": wrapped(f"{DEF}\n\tif True:\n\t\treturn {CALL}"),
    "files of its own": wrapped(f"""
import contextlib
import io
import tempfile


{DEF}
    with contextlib.redirect_stdout(io.StringIO()):
        print(args)
    with tempfile.NamedTemporaryFile() as file:
        np.save(file.name, np.eye(3))
    with open("own.txt", "w") as file:
        file.write("hi")
    with np.errstate(all="ignore"):
        return {CALL}"""),
    "catches errors of its own": wrapped(f"""
class NAME_Mine(ValueError):
    pass


{DEF}
    try:
        raise NAME_Mine("x")
    except NAME_Mine:
        return {CALL}"""),
    "built-in names reused": wrapped(f"""
list = [1, 2]
max = 3
id = "x"


{DEF}
    return {CALL}


del list, max"""),
    "guarded": wrapped(f"""
if __name__ == "__main__":

    {DEF}
        return {CALL}"""),
    "defined twice": "def NAME(*args, **kwargs):\n    return None\n\n\nRIGHT",
    "an error below": "RIGHT\n\n\nassert NAME is None, 'just to see'",
    "the stub's error left behind": "RIGHT\n    raise NotImplementedError",
    "leaves": "RIGHT\n\n\nimport sys\nsys.exit()",
    "asleep": "import time\n\ntime.sleep(1)\n\n\nRIGHT",
    "timed by a magic": "%%time\nRIGHT",
    "captured": "%%capture out\nRIGHT",
    "magics above": "%matplotlib inline\n!pip install numpy\nRIGHT",
    "waited for": "import asyncio\n\nawait asyncio.sleep(0)\nRIGHT",
}
