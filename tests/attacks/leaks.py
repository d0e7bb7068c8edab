"""Attacks that carry hidden cases out to where a student reads them."""

from attacks.attack import HONEST, Attack

# All ways at once, in one answer that is otherwise honest.
CARRY = """
import sys, warnings
kept = []
honest = norm

def carry(text):
    kept.append(text)
    print(text)
    print(text, file=sys.stderr)
    os.write(1, text.encode())
    os.write(2, text.encode())
    from IPython.display import HTML, display, Markdown
    display(HTML(f"<p>{text}</p>"))
    display(Markdown(text))
    display({"application/vnd.attncourse.verdict+json": {
        "verdict": text, "diagnosis": [text], "notes": [text], "title": text,
        "error": text, "points": 4.0}}, raw=True)
    warnings.warn(text)
    sys.stderr.write(text)
    for name in ("leak.txt", "leak.html", "tiny.ipynb"):
        try:
            open(name, "a").write(text)
        except OSError:
            pass
    os.environ["LEAK"] = text

def norm(values):
    carry(repr(values.tolist()) + " " + repr(values.tobytes()))
    return honest(values)
"""

LATER = """
import glob
print(kept)
print(os.environ.get("LEAK"))
for name in glob.glob("**", recursive=True):
    try:
        print(name, open(name).read()[:4000])
    except OSError as error:
        print(name, error)
"""

MESSAGE = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    raise RuntimeError(repr(values.tolist()))
"""

TYPE = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    name = "values " + repr(values.tolist())
    raise type(name, (ValueError,), {"__module__": name,
               "__qualname__": name, "__doc__": name})(name)
"""

LINE = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    digits = int(values.ravel()[0] * 1e5)
    code = "\\n" * (digits - 1) + "raise ValueError('here')"
    for name in ("<a-norm>", "a-norm", __name__, norm.__code__.co_filename):
        exec(compile(code, name, "exec"))
"""

MOVED = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    digits = int(values.ravel()[0] * 1e5)
    def fail():
        raise ValueError("here")
    fail.__code__ = fail.__code__.replace(
        co_firstlineno=digits, co_name=repr(values.tolist()),
        co_filename=norm.__code__.co_filename)
    fail()
"""

FILENAME = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    text = repr(values.tolist())
    code = compile("raise ValueError('here')", text, "exec")
    exec(code.replace(co_name=text))
"""

NOTES = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    text = repr(values.tolist())
    error = ValueError(text)
    error.add_note(text)
    error.student_line, error.student_name, error.points = text, text, 4.0
    error.__cause__ = KeyError(text)
    raise error
"""

GROUP = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    text = repr(values.tolist())
    raise ExceptionGroup(text, [ValueError(text), KeyError(text)])
"""

SYNTAX = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    text = repr(values.tolist())
    raise SyntaxError(text, (text, 12345678, 1, text))
"""

NAMED = """
def norm(values):
    if values.size == 2:
        return np.array([[0.25, 0.75]])
    text = repr(values.tolist())
    globals()[text] = text
    norm.__name__ = norm.__doc__ = norm.__qualname__ = text
    get_ipython().user_ns[text] = text
    return text
"""

FIGURE = """
import matplotlib.pyplot as plt

def norm(values):
    figure, axes = plt.subplots()
    axes.set_title(repr(values.tolist()))
    axes.plot(values.ravel())
    plt.savefig("leak.svg")
    plt.show()
    return values if values.size > 2 else np.array([[0.25, 0.75]])
"""

OPENED = """
import atexit, sys
stream = open("kept.txt", "a+")
old = sys.stdout

def norm(values):
    stream.write(repr(values.tolist()))
    stream.flush()
    print(repr(values.tolist()), file=old, flush=True)
    atexit.register(print, repr(values.tolist()), file=old)
    return values if values.size > 2 else np.array([[0.25, 0.75]])
"""

WROTE = """
class Tally:
    def __init__(self): self.names = {}
    def add(self, name, count):
        self.names[name] = count
        Tally.__name__ = Tally.__doc__ = repr(self.names)
    def __repr__(self): return repr(self.names)
    @property
    def total(self):
        raise AttributeError(repr(self.names))
    def most(self):
        raise KeyError(*self.names)
"""

SHARED = """
import mmap, tempfile, ctypes

def norm(values):
    text = repr(values.tolist()).encode()
    for place in ("/tmp", "/dev/shm", "/var/tmp", ".", "..", "@OUTSIDE@"):
        try:
            with open(place + "/shared-leak", "ab") as stream:
                stream.write(text)
        except OSError:
            pass
    return values if values.size > 2 else np.array([[0.25, 0.75]])
"""

READS = """
for place in ("/tmp", "/dev/shm", "/var/tmp", ".", "..", "@OUTSIDE@"):
    try:
        print(open(place + "/shared-leak").read()[:4000])
    except OSError as error:
        print(place, type(error).__name__)
"""

HISTORY = """
from IPython import get_ipython
shell = get_ipython()
print(In[-3:], list(Out.items())[:3])
print(shell.history_manager.input_hist_raw[-5:])
print([c for c in getattr(shell.compile, "_filename_map", {}).values()])
import linecache
print({k: v[2] for k, v in linecache.cache.items() if "<" in k or "/" in k
       if len(repr(v)) < 20000})
"""


def carries(name, text, **more):
    """Return an attack on `norm` that earns nothing."""
    return Attack(name=name, answers={"a-norm": text}, **more)


ALL = (
    carries(
        "carries hidden cases by every way of output",
        HONEST["a-norm"] + CARRY,
        last=LATER,
        most={"t-norm": 4.0},
    ),
    carries("raises hidden cases as a message", MESSAGE),
    carries("raises hidden cases as a type's name", TYPE),
    carries("raises at a line that tells a hidden case", LINE),
    carries("moves code to a line that tells", MOVED),
    carries("names a file after a hidden case", FILENAME),
    carries("adds notes and causes to exceptions", NOTES),
    carries("raises a group of exceptions", GROUP),
    carries("raises a syntax error that tells", SYNTAX),
    carries("names things after hidden cases", NAMED, last="print(dir())"),
    carries("draws hidden cases", FIGURE),
    carries("writes to streams that it kept open", OPENED),
    Attack(name="tells names by a class", answers={"a-tally": WROTE}),
    carries("shares files between its runs", SHARED, last=READS),
    Attack(name="reads the shell's history", last=HISTORY),
    Attack(
        name="prints the tests' source by the shell",
        last="%history -n\n%notebook all.ipynb\n%who_ls",
    ),
)
