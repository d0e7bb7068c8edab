"""Attacks that patch what a grader in the same process would use."""

from attacks.attack import EVERY, HONEST, Attack

BUILTINS = """
import builtins

real = builtins.isinstance
builtins.all = builtins.any = lambda items: True
builtins.bool = lambda value=False: True
builtins.abs = lambda value: 0
builtins.AssertionError = type("AssertionError", (Warning,), {})
builtins.zip = lambda *items: []
"""

NUMPY = """
import numpy as np

yes = lambda *given, **named: True
for name in ("allclose", "array_equal", "isclose", "array_equiv"):
    setattr(np, name, yes)
for name in dir(np.testing):
    if name.startswith("assert_"):
        setattr(np.testing, name, lambda *given, **named: None)
np.array_equal.__name__ = "array_equal"
"""

SHELL = """
from IPython import get_ipython
shell = get_ipython()

async def nothing(*given, **named):
    class Fine:
        success, error_in_exec, error_before_exec = True, None, None
        result = 10.0
        def raise_error(self): pass
    return Fine()

kind = type(shell)
kind.run_cell_async = kind.run_code = kind.run_ast_nodes = nothing
kind.run_cell = lambda *given, **named: None
shell.showtraceback = lambda *given, **named: None
"""

TRANSFORM = """
import ast
from IPython import get_ipython

class Erase(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)

shell = get_ipython()
shell.ast_transformers.append(Erase())
shell.input_transformers_cleanup.append(
    lambda lines: [l.replace("assert", "print") for l in lines])
shell.input_transformers_post.append(
    lambda lines: ["5.0\\n"] if "HIDDEN" in "".join(lines) else lines)
"""

EVENTS = """
from IPython import get_ipython
shell = get_ipython()
said = []
for name in ("pre_execute", "pre_run_cell", "post_execute", "post_run_cell"):
    shell.events.register(
        name, lambda *given: said.append(repr(given)[:3000]))
shell.set_custom_exc((BaseException,), lambda *given: print(given))
"""

PUBLISH = """
from IPython import get_ipython
shell = get_ipython()

class Liar:
    def __getattr__(self, name):
        return lambda *given, **named: {"text/plain": "12/12"}
    def __call__(self, *given, **named):
        return 12.0

shell.display_pub = shell.displayhook = shell.display_formatter = Liar()
"""

HOOKS = """
import sys, atexit, weakref
told = lambda *given: print("hook", repr(given)[:300])
sys.excepthook = sys.unraisablehook = sys.displayhook = told
sys.breakpointhook = told
atexit.register(lambda: open("/tmp/attack-atexit", "w").write("x"))

class Late:
    def __del__(self):
        open("/tmp/attack-del", "w").write("x")

late = Late()
weakref.finalize(late, lambda: open("/tmp/attack-weak", "w").write("x"))
"""

IMPORTS = """
import sys, types, importlib.abc

class Everything(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        print("asked for", name)
        return None

sys.meta_path.insert(0, Everything())
for name in ("attncourse", "attncourse.checking", "attncourse.questions"):
    fake = types.ModuleType(name)
    fake.__getattr__ = lambda name: (lambda *given, **named: 100.0)
    sys.modules[name] = fake
sys.path.insert(0, ".")
sys.path_hooks.clear()
"""

# Lies by the grader's own code in the child: what it sends is still data.
INSIDE = """
import sys
for name, module in list(sys.modules.items()):
    if name.endswith(("wire", "channel", "child", "objects", "shell")):
        for key, value in list(vars(module).items()):
            if callable(value) and key.startswith(("encode", "send")):
                setattr(module, key, lambda *given, **named: True)
"""

STREAMS = """
import sys

class Stream:
    encoding = "utf-8"
    def write(self, text):
        return "many"
    def flush(self):
        raise KeyboardInterrupt
    def __getattr__(self, name):
        return lambda *given, **named: self

sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = Stream()
"""

CODECS = """
import codecs, json, struct, pickle
json.dumps = json.loads = lambda *given, **named: {"points": 12}
struct.pack = struct.unpack = lambda *given: b"12"
pickle.dumps = pickle.loads = lambda *given, **named: 12
codecs.lookup = codecs.encode = codecs.decode = lambda *given: None
"""

DTYPE = """
import ctypes
import numpy as np

# Rewrites the float 0.0 and the integer 0 wherever they are shared.
zero = ctypes.cast(id(0), ctypes.POINTER(ctypes.c_ssize_t))
print("read", zero[2])
false = ctypes.cast(id(False), ctypes.POINTER(ctypes.c_ssize_t))
print("read", false[2])
"""

UNITTEST = """
import unittest.mock, builtins
for target in ("builtins.float", "builtins.len", "builtins.sum"):
    unittest.mock.patch(target, lambda *given: 12).start()
"""

NAMESPACE = """
__name__ = "judge"
__builtins__ = {"len": lambda values: 0}
In, Out, _, __, ___ = [], {}, 12.0, 12.0, 12.0
get_ipython = lambda: None
exit = quit = lambda: None
rng = earned = truth = mixed = inputs = kept = right = zero = unchanged = 1
np = os = wanted = blind = got = large = names = counts = None
"""

MASKS = """
import warnings, contextlib, logging
warnings.simplefilter("error")
warnings.showwarning = lambda *given, **named: 1 / 0
logging.disable(50)
np.seterr(all="raise")
contextlib.suppress.__exit__ = lambda *given: True
"""

WRONG = {"a-norm": "def norm(values):\n    return values"}
FACTS = {"a-facts": "total, label, table = 1, '', np.zeros((5, 7))"}


def patching(name, first, **more):
    """Return an attack that patches, and answers two questions wrong."""
    return Attack(
        name=name,
        first=first,
        answers={**WRONG, **FACTS},
        spoils=more.pop("spoils", EVERY),
        **more,
    )


ALL = (
    patching("patches the built-in functions", BUILTINS),
    patching("patches NumPy's comparisons", NUMPY),
    patching("patches the shell's running of cells", SHELL),
    patching("rewrites cells by transformers", TRANSFORM),
    patching(
        "registers events in the shell",
        EVENTS,
        last="print(said)",
    ),
    patching("replaces the shell's publishers", PUBLISH),
    patching("leaves hooks for the end of the process", HOOKS, spoils=()),
    patching("replaces modules and finders", IMPORTS),
    patching("patches the code that serves the judge", INSIDE),
    patching("replaces the output streams", STREAMS),
    patching("patches JSON, struct, pickle and codecs", CODECS),
    patching("touches shared constants in memory", DTYPE, spoils=()),
    patching("mocks conversions", UNITTEST),
    patching("takes the names that the tests use", NAMESPACE),
    patching("turns warnings into errors", MASKS),
    Attack(
        name="replaces the later answers' tools only in the hidden run",
        answers={
            "a-norm": HONEST["a-norm"] + "\nhonest, calls = norm, []\n"
            "def norm(values):\n"
            "    calls.append(1)\n"
            "    if len(calls) > 1:\n"
            "        np.array_equal = np.allclose = lambda *given: True\n"
            "    return honest(values) if len(calls) == 1 else values\n"
        },
        spoils=("t-accepts",),
    ),
)
