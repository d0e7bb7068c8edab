"""The library's ledger: every public object with its source and its tests.

A *mechanism* is what the modules of one stem say together: `heads`,
`heads_parts` and `heads_counts`, in NumPy and in torch. The ledger is read
from the code: papers from the docstrings, and by `ledger_tests` the tests.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
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
