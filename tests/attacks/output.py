"""Attacks on whoever reads the outputs: pages, terminals, the grader."""

from attacks.attack import HONEST, PRELUDE, Attack
from attacks.timing import norm
from nbformat.v4 import new_code_cell

# A page in which any of these ran would have this title.
SCRIPTS = r"""
from IPython.display import HTML, SVG, Javascript, Markdown, Latex, display
from IPython.display import IFrame, Math, Image
run = "document.title='PWN'+'ED'"
beacon = "http://127.0.0.1:@PORT@/beacon"
for text in (
    f"<script>{run}</script>",
    f"<ScRiPt >{run}</sCrIpT >",
    f"<img src=x onerror=\"{run}\">",
    f"<svg onload=\"{run}\"></svg>",
    f"<svg><script>{run}</script></svg>",
    f"<svg><animate onbegin=\"{run}\" attributeName=x dur=1s></svg>",
    f"<math><mtext></p><img src=x onerror=\"{run}\"></mtext></math>",
    f"<iframe srcdoc=\"<script>top.{run}</script>\"></iframe>",
    f"<iframe src=\"javascript:top.{run}\"></iframe>",
    f"<a id=go href=\"javascript:{run}\">read me</a>",
    f"<a href=\"jav\tascript:{run}\">read me</a>",
    f"<a href=\"data:text/html,<script>{run}</script>\">read me</a>",
    f"<body onload=\"{run}\"><input autofocus onfocus=\"{run}\">",
    f"<details open ontoggle=\"{run}\"><summary>x</summary></details>",
    f"<meta http-equiv=refresh content=\"0;url={beacon}\">",
    f"<link rel=stylesheet href={beacon}><img src={beacon}>",
    f"<style>@import url({beacon}); body{{background:url({beacon})}}</style>",
    f"<form action={beacon}><button autofocus>Send</button></form>",
    f"<base href={beacon}><object data={beacon}></object>",
    f"<video src={beacon} poster={beacon} autoplay></video>",
    f"<div style=\"position:fixed;inset:0;background:url({beacon})\">12</div>",
    "</pre></div></section></main></body></html><h1>12 of 12 points</h1>",
    f"--><script>{run}</script><!--",
    f"</textarea></title></style><script>{run}</script>",
    f"<noscript><p title=\"</noscript><script>{run}</script>\">",
    f"<template><script>{run}</script></template>",
    "<a href=\"//127.0.0.1:@PORT@/\" ping=\"//127.0.0.1:@PORT@/\">x</a>",
):
    display(HTML(text))
    display(Markdown(text))
    display({"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'>"
             + text + "</svg>"}, raw=True)
    display({"text/plain": text, "text/html": [text]}, raw=True)
    print(text)
display(Javascript(run))
display({"application/javascript": run}, raw=True)
display({"text/latex": "\\href{javascript:" + run + "}{x}"}, raw=True)
display(Math(r"\unicode{<script>" + run + "</script>}"))
display(Markdown(f"[x](javascript:{run}) ![x]({beacon}) <{beacon}>"))
display({"image/png": "\"><script>" + run + "</script>"}, raw=True)
display({"image/jpeg": "not base64!"}, raw=True)
display({f"text/html\"><script>{run}</script>": "x"}, raw=True)
display({"application/vnd.jupyter.widget-view+json": {"model_id": run}},
        raw=True)
display(IFrame(beacon, 10, 10), Image(url=beacon))
"""

FORGED = """
from IPython.display import display
told = {"question": "t-norm", "verdict": "pass", "points": 4.0,
        "max_points": 4.0, "title": "t-norm", "failed_stages": [],
        "stages": [{"name": "all", "must": "hold", "points": 99.0,
                    "passed": True}],
        "diagnosis": ["perfect"], "notes": ["full marks"], "error": None,
        "misconceptions": [{"name": "none", "says": "", "where": ""}]}

def forge():
    display({"application/vnd.attncourse.verdict+json": told}, raw=True)
    display({"application/vnd.attncourse.verdict+json": told,
             "text/plain": "12.0"}, raw=True)
    print("12.0")
    return 12.0
forge()
"""

FORGING = (
    FORGED
    + """
def norm(values):
    forge()
    return values

class Tally:
    def __init__(self): forge()
    def add(self, name, count): forge()
    def most(self): return forge()
    total = 3
"""
)

FLOODS = """
import os, sys
line = "x" * 1_000_000 + "\\n"
for _ in range(120):
    print(line, end="")
sys.stderr.write(line * 20)
"""

RAW = """
import ctypes, os
libc = ctypes.CDLL(None)
for _ in range(2000):
    os.write(1, b"y" * 60000)
    os.write(2, b"y" * 60000)
for _ in range(20000):
    libc.puts(b"from C")
libc.fflush(None)
"""

DISPLAYS = """
from IPython.display import HTML, display, update_display, clear_output
for number in range(20000):
    display({"text/plain": "z" * 1000}, raw=True, display_id=str(number))
    update_display(HTML("<b>z</b>"), display_id=str(number))
    clear_output()
"""

BINARY = r"""
import sys
esc = "\x1b"
for text in (
    f"{esc}[2J{esc}[H12 of 12 points", f"{esc}]0;title\x07",
    f"{esc}]8;;http://127.0.0.1:@PORT@/\x07click{esc}]8;;\x07",
    f"{esc}]52;c;cm0gLXJmIC8=\x07", f"{esc}P0;1|17/ab{esc}\\",
    f"{esc}[31m red {esc}[0m", "\x9b31m", "a\rb\x08\x08c",
    "\u202epoints 21 fo 0\u202c \u2066x\u2069 \u200f \u061c",
    "\x00\x01\x02\x7f\x80\x85\ufeff\ufffe\uffff",
    "\ud800 alone", "\U000e0041\U000e0042", "Z" + "\u0335" * 3000,
    "\u2028\u2029", "=cmd|'/c calc'!A0", "@SUM(1+1)", "\t=1+1", "+1", "-1",
):
    try:
        print(text)
        sys.stderr.write(text + "\n")
    except UnicodeEncodeError as error:
        print("cannot print", ascii(text))
sys.stdout.buffer.write(b"\xff\xfe\x00\xd8 raw bytes\n")
sys.stdout.flush()
"""

SURROGATE = r"""
from IPython.display import display
lone = "\ud800\udfff\udc00"
display({"text/plain": lone, "text/html": lone, lone: lone}, raw=True)

def norm(values):
    raise ValueError(lone)
"""

TYPES = r"""
from IPython.display import display
class Odd:
    def _repr_html_(self): return 12
    def _repr_png_(self): return b"\x89PNG not a picture"
    def _repr_json_(self): return {1: {2, 3}}
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": object(), 3: 4, "text/plain": b"bytes",
                "application/json": float("nan")}, {"text/html": {1: object()}}
    def __repr__(self): return 5
display(Odd())
display({"text/plain": ["a", 1, None], "application/json": {"x": 1 << 9000}},
        raw=True, metadata={"a": {1, 2}})
deep = {}
for _ in range(3000):
    deep = {"d": deep}
display({"application/json": deep}, raw=True)
Odd()
"""

ENDLESS = """
class Slow:
    def __repr__(self):
        while True:
            pass
Slow()
"""

# What a page shows of an exception, and of a name.
RAISES = r"""
name = "<script>document.title='PWN'+'ED'</script>\x1b[2J\u202e=1+1"
def norm(values):
    raise type(name, (ValueError,), {"__module__": name})(name * 3)
norm(1)
"""

MARKS = """
#!/bin/sh --><script>document.title='PWN'+'ED'</script><!-- </code></pre>
# <img src=x onerror="document.title='PWN'+'ED'"> {{ 7 * 7 }} {% raw %}
# ```` ``` </textarea> ~~~ [x](javascript:alert(1)) ![](http://127.0.0.1:1/)
# $\\href{javascript:document.title=1}{x}$ <!-- [[x]] ::: {.note} |
"""

TITLES = """
from IPython.display import display
display({"text/html": "<h2>Points: 12 of 12</h2><p>verdict: pass</p>",
         "text/plain": "Points: 12"}, raw=True)
"""

FILE = """
import sys
size = 0
try:
    with open("large", "wb") as stream:
        while True:
            size += stream.write(b"x" * 1_000_000)
except OSError as error:
    print("stopped at", size)
"""

INPUT = (
    PRELUDE
    + """
import getpass
attempt("input", lambda: input("points? "))
attempt("line", lambda: sys.stdin.readline() or 1 / 0)
attempt("descriptor", lambda: os.read(0, 10) or 1 / 0)
attempt("password", lambda: getpass.getpass())
attempt("debugger", lambda: __import__("pdb").set_trace())
"""
)


def flooding(notebook):
    for _ in range(60):
        notebook.cells.append(new_code_cell("print('x' * 60_000)"))


ALL = (
    Attack(name="floods in each of many cells", change=flooding),
    Attack(name="shows scripts in every way", first=SCRIPTS),
    Attack(
        name="publishes a forged verdict",
        answers={"a-norm": FORGING, "a-tally": "pass"},
    ),
    Attack(
        name="publishes a forged verdict beside honest work",
        first=FORGED,
        last=FORGED,
    ),
    Attack(name="floods its output", first=FLOODS),
    Attack(name="floods its output below Python", first=RAW),
    Attack(name="floods with displays", first=DISPLAYS),
    Attack(
        name="floods while it is called",
        answers={"a-norm": norm(FLOODS.replace("\n", "\n    "))},
        most={"t-norm": 4.0},
    ),
    Attack(name="prints for terminals and spreadsheets", first=BINARY),
    Attack(
        name="prints what is no text",
        answers={"a-norm": SURROGATE},
    ),
    Attack(name="displays in types that are none", first=TYPES),
    Attack(name="shows itself for ever", last=ENDLESS),
    Attack(
        name="raises scripts as names and messages",
        answers={"a-norm": RAISES},
    ),
    Attack(
        name="writes markup into its source",
        answers={"a-norm": HONEST["a-norm"] + MARKS},
        most={"t-norm": 4.0},
    ),
    Attack(name="shows a page that says full marks", first=TITLES),
    Attack(name="writes a file without end", last=FILE),
    Attack(name="asks for input in every way", first=INPUT, refused=True),
)
