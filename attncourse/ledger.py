"""The library's ledger: every public object with its source and its tests.

A *mechanism* is what the modules of one stem say together: `heads`,
`heads_parts` and `heads_counts`, in NumPy and in torch. The ledger is read
from the code: papers from the docstrings, tests from the tests' names.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("reference", "fast")
# Title and stems, in the order in which one would learn them.
MECHANISMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Reading by similarity", ("lookup",)),
    ("Softmax", ("softmax",)),
    ("Sparse weights: sparsemax and entmax", ("sparsemax",)),
    ("Scores", ("scores",)),
    ("Dense attention", ("dense",)),
    ("Masks", ("masks",)),
    ("Heads", ("heads",)),
    ("Positions", ("positions",)),
    ("Gated and adaptive attention", ("adaptive",)),
    ("Recurrent encoder-decoder", ("recurrent", "luong")),
    ("Norms and feed-forward", ("norms", "feedforward")),
    ("Transformer blocks", ("blocks", "layers")),
    ("Objectives and decoding", ("objectives",)),
    ("Segment recurrence and gates", ("segments", "gates")),
    ("Hierarchical attention", ("hierarchical",)),
    ("Online softmax and tiled attention", ("online", "tiled")),
    ("Triton kernels", ("kernels",)),
    ("Sparse attention", ("sparse",)),
    ("Linear attention", ("linear",)),
    ("Key-value caches", ("cache",)),
    ("Patches and the vision transformer", ("patches",)),
    ("Cross-modal attention", ("crossmodal",)),
    ("Spatial transformer", ("spatial",)),
    ("Capsule routing", ("capsules",)),
    ("Ring attention", ("ring",)),
    ("Low-rank and adapter tuning", ("lora",)),
    ("Pruning and quantisation", ("compress",)),
    ("What it costs", ("cost",)),
)
SOURCE = re.compile(r"^Source: (.+?)(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
PAPER = re.compile(
    r"(?P<first>[A-Z][\w-]+)"
    r"(?: et al\.|(?:, [A-Z][\w-]+)*,? (?:&|and) (?:Van )?[A-Z][\w-]+)?"
    r" \((?P<year>\d{4})\)(?:, \"(?P<title>[^\"]+))?"
)
BIB_ENTRY = re.compile(
    r"^@\w+\{(?P<key>\w+),.*?\btitle\s*=\s*[{\"](?P<title>.*?)[}\"],?\n",
    re.MULTILINE | re.DOTALL,
)
EQUATION = re.compile(r"^\.\. math::", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One public function or class of the library.

    `package` is reference or fast, `module` the name below it; `says` is
    the first sentence of the docstring, `source` what it cites.
    """

    package: str
    module: str
    name: str
    value: Any

    @property
    def path(self) -> str:
        """Return the full dotted name."""
        return f"attncourse.{self.package}.{self.module}.{self.name}"

    @property
    def doc(self) -> str:
        """Return the docstring, without its indentation."""
        return inspect.getdoc(self.value) or ""

    @property
    def says(self) -> str:
        """Return the first paragraph of the docstring."""
        return " ".join(self.doc.partition("\n\n")[0].split())

    @property
    def source(self) -> str:
        """Return what the docstring cites; empty if it does not."""
        found = SOURCE.search(self.doc)
        return " ".join(found[1].split()) if found else ""

    @property
    def has_equation(self) -> bool:
        """Tell whether the docstring derives or defines by a formula."""
        return bool(EQUATION.search(self.doc))


def stem(module: str) -> str:
    """Return the stem of a module's name.

    Examples
    --------
    >>> stem("heads_parts"), stem("heads")
    ('heads', 'heads')
    """
    return module.partition("_")[0]


@cache
def entries() -> tuple[Entry, ...]:
    """Return every public function and class, in the order of the code."""
    return tuple(
        entry
        for package in PACKAGES
        for name, module in modules(package)
        for entry in _entries(package, name, module)
    )


def of(*stems: str) -> list[Entry]:
    """Return the entries of the given stems, the reference's first.

    Examples
    --------
    >>> of("dense")[1].path
    'attncourse.reference.dense.attention'
    """
    return [each for each in entries() if stem(each.module) in stems]


def names_of_tests(entry: Entry, tests: Path) -> list[str]:
    """Return the names of the tests that use an entry, as sentences.

    A test uses what its body names, or what the helpers and tables of its
    file name that it names. Only the files of the entry's own stem count.
    """
    file = tests / entry.package / f"test_{stem(entry.module)}.py"
    if not file.is_file():
        return []
    reached = _reached(file)
    path = entry.path.removeprefix("attncourse.")
    return [
        name.removeprefix("test_").replace("_", " ")
        for name, uses in reached.items()
        if path in uses or _reexported(entry, uses)
    ]


def keys_of(source: str, titles: dict[str, str]) -> dict[str, str]:
    """Return the bibliography's key of each paper that a source names.

    Parameters
    ----------
    source : for instance ``Shaw et al. (2018), "Self-Attention with ..."``.
    titles : of the bibliography's entries, by key. A key is the first
        author's name and the year, and more where that is not enough.

    Examples
    --------
    >>> keys_of("Shaw et al. (2018), eq. 4.", {"shaw2018": "Self-Attention"})
    {'Shaw et al. (2018)': 'shaw2018'}
    """
    found = {}
    for paper in PAPER.finditer(source):
        start = paper["first"].lower() + paper["year"]
        likely = [key for key in titles if key.startswith(start)]
        if len(likely) > 1 and paper["title"]:
            named = _letters(paper["title"])
            likely = [key for key in likely if named in _letters(titles[key])]
        if len(likely) == 1:
            text = paper[0].partition(', "')[0]
            found[text] = likely[0]
    return found


def bibliography(text: str) -> dict[str, str]:
    r"""Return the titles of a BibTeX file's entries, by key.

    Examples
    --------
    >>> bibliography("@misc{a2001,\n  title = {On {A}},\n}")
    {'a2001': 'On {A}'}
    """
    return {entry["key"]: entry["title"] for entry in BIB_ENTRY.finditer(text)}


def _letters(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


def modules(package: str) -> Iterator[tuple[str, ModuleType]]:
    """Yield the modules of a package with their names below it.

    What is inside a package of its own, as the kernels' parts are, is its
    own affair.
    """
    parent = importlib.import_module(f"attncourse.{package}")
    for found in pkgutil.iter_modules(parent.__path__):
        if not found.name.startswith("_"):
            path = f"{parent.__name__}.{found.name}"
            yield found.name, importlib.import_module(path)


def _entries(package: str, name: str, module: ModuleType) -> Iterator[Entry]:
    # A module that lists what it offers keeps the rest for its siblings.
    listed = getattr(module, "__all__", vars(module))
    for each, value in vars(module).items():
        made_here = getattr(value, "__module__", None) == module.__name__
        kind = inspect.isfunction(value) or inspect.isclass(value)
        if made_here and kind and each in listed and not each.startswith("_"):
            yield Entry(package, name, each, value)


def _reexported(entry: Entry, uses: set[str]) -> bool:
    """Tell whether a test uses an entry by way of a sibling module."""
    own = stem(entry.module)
    for use in uses:
        package, _, rest = use.partition(".")
        module, _, name = rest.rpartition(".")
        if (package, name) == (entry.package, entry.name):
            if stem(module) != own:
                continue
            holder = importlib.import_module(f"attncourse.{package}.{module}")
            if getattr(holder, name, None) is entry.value:
                return True
    return False


@cache
def _reached(file: Path) -> dict[str, set[str]]:
    """Return, for each test of a file, the dotted names that it uses."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    modules, names = _imported(tree)
    direct: dict[str, set[str]] = {}  # of each top-level name: what it uses
    calls: dict[str, set[str]] = {}  # and which other top-level names
    for node in tree.body:
        for defined in _defines(node):
            uses, mentions = _uses(node, modules, names)
            direct.setdefault(defined, set()).update(uses)
            calls.setdefault(defined, set()).update(mentions)
    found = {}
    for name in direct:
        if name.startswith("test_"):
            seen, todo = set(), [name]
            while todo:
                each = todo.pop()
                if each not in seen:
                    seen.add(each)
                    todo += calls.get(each, set()) & direct.keys()
            found[name] = set().union(*(direct[each] for each in seen))
    return found


def _imported(tree: ast.Module) -> tuple[dict[str, str], dict[str, str]]:
    """Return the modules and the objects of the library by local name."""
    modules, names = {}, {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        for alias in node.names:
            path = f"{node.module}.{alias.name}"
            path = path.removeprefix("attncourse.")
            names[alias.asname or alias.name] = path
            modules[alias.asname or alias.name] = path
    return modules, names


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _uses(
    node: ast.AST, modules: dict[str, str], names: dict[str, str]
) -> tuple[set[str], set[str]]:
    uses, mentions = set(), set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            mentions.add(each.id)
            if each.id in names:
                uses.add(names[each.id])
        elif isinstance(each, ast.arg):
            mentions.add(each.arg)  # a fixture
        elif isinstance(each, ast.Attribute):
            holder = ast.unparse(each.value)
            if holder in modules:
                uses.add(f"{modules[holder]}.{each.attr}")
    return uses, mentions
