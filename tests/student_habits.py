"""What students return, and what they run beside their answers."""

from __future__ import annotations

from student_styles import wrapped

# What a right answer's arrays become, and whether that is right as well.
RESULTS = {
    "lists": "value.tolist()",
    "single precision": "value.astype(np.float32)",
    "the other byte order": "value.astype('>f8')",
    "extended precision": "value.astype(np.longdouble)",
    "a locked array": "locked(value)",
    "a view with gaps": "gappy(value)",
    "a reversed view": "np.flip(np.ascontiguousarray(np.flip(value)))",
    "a matrix": "np.asmatrix(value) if value.ndim == 2 else value",
    "a masked array": "np.ma.masked_array(value)",
    "an array of its own class": "value.view(Mine)",
    "a tensor": "torch.tensor(value)",
    "a tensor that shares memory": "torch.from_numpy(value)",
    "a tensor in a graph": "torch.tensor(value, requires_grad=True) * 1",
    "a parameter": "torch.nn.Parameter(torch.tensor(value))",
    "a tensor of single precision": "torch.tensor(value).float()",
    "half precision": "value.astype(np.float16)",
    "complex numbers": "value.astype(complex)",
    "objects": "value.astype(object)",
    "a generator": "(each for each in value.ravel())",
    "a dictionary": "{'value': value}",
    "nothing": "None",
}
RESULT = wrapped("""
class Mine(np.ndarray):
    pass


def locked(value):
    value = value.copy()
    value.flags.writeable = False
    return value


def gappy(value):
    wide = np.full((*value.shape, 2), np.nan)
    wide[..., 0] = value
    return wide[..., 0]


def NAME_given(value):
    if type(value) in (tuple, list):
        return type(value)(map(NAME_given, value))
    value = np.array(value)
    return VALUE


def NAME(*args, **kwargs):
    return NAME_given(NAME_plain(*args, **kwargs))""")


def giving(expression: str) -> str:
    """Return a style whose results are given as `expression` says."""
    imports = "import torch\n\n\n" if "torch" in expression else ""
    return imports + RESULT.replace("VALUE", expression)


# Cells of their own that spoil nothing, whatever comes of them.
CELLS = {
    "magics": "%matplotlib inline\n%config InlineBackend.figure_format = "
    "'retina'\n%load_ext autoreload\n%autoreload 2\n%precision 3\n%who",
    "a shell": "!ls\n!nvidia-smi\nfiles = !ls\nprint(files)",
    "an installation": "%pip install tqdm\n!pip install numpy",
    "a cell of shell": "%%bash\nls",
    "a file": "%%writefile helper.py\ndef double(x):\n    return 2 * x",
    "its import": "import helper\nassert helper.double(2) == 4",
    "help": "np.exp?\nhelp(np.exp)",
    "a question": "name = input('Your name? ')",
    "standard input": "import sys\nsys.stdin.read()",
    "an end": "exit()",
    "a harder end": "import sys\nsys.exit('done')",
    "an error": "1 / 0",
    "an error of syntax": "for x in\n",
    "a debugger": "breakpoint()",
    "processes": "import subprocess\nsubprocess.run(['ls'])",
    "a pool": "import multiprocessing\nwith multiprocessing.Pool(2) as pool:"
    "\n    print(pool.map(abs, [1, -2]))",
    "a download": "import urllib.request\n"
    "urllib.request.urlopen('https://example.com')",
    "a missing package": "from tqdm.auto import tqdm_that_is_not_there",
    "a star": "from numpy import *\nfrom math import *",
    "a seed": "np.random.seed(0)",
    "how arrays print": "np.set_printoptions(precision=2, suppress=True)",
    "the recursion limit": "import sys\nsys.setrecursionlimit(10**6)",
    "a thread": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    "no collector": "import gc\ngc.disable()",
    "an alarm": "import signal\nsignal.alarm(0)",
    "another folder": "import os\nos.makedirs('sub')\nos.chdir('sub')",
    "unit tests": "import unittest\nunittest.main(argv=[''], exit=False)",
    "other streams": "import sys\nsys.stdout = open('log.txt', 'w')",
    "a wrapped print": "import builtins\nold = print\n"
    "builtins.print = lambda *a, **k: old('>', *a, **k)",
    "a counted function": "exp = np.exp\nCOUNTED = []\n"
    "np.exp = lambda *a, **k: (COUNTED.append(1), exp(*a, **k))[1]",
    "a hook": "import sys\nsys.excepthook = lambda *a: None",
    "later annotations": "from __future__ import annotations",
    "a strange repr": "class A:\n    def __repr__(self):\n"
    "        raise ValueError\nA()",
    "much output": "for k in range(5_000): print(k)",
    "half a letter": "print('\\ud800', '🙂', '\\x1b[31mred\\x1b[0m')",
    "the package": "from attncourse import check, grade, reference\n"
    "from attncourse.reference.softmax import softmax as theirs",
    "the package at work": "theirs(np.eye(3))",
}
# These change how everything after them runs.
STRICT = {
    "floating point errors raised": "np.seterr(all='raise')",
    "warnings as errors": "import warnings\nwarnings.simplefilter('error')\n"
    "np.seterr(all='warn')",
}
