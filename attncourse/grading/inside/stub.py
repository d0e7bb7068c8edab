"""Stand-ins for packages that are not there while grading.

A student's cell may import anything from them; calling it says that it
does not run. The names called silent, such as a notebook's visible check,
do nothing but say so once.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any, NoReturn


class Stub:
    """A name of a package that is not there."""

    def __init__(self, name: str, finder: Finder) -> None:
        self.__name__ = self.__qualname__ = name
        self.__finder = finder
        self.__module__ = name.rpartition(".")[0]

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Say that this does not run; raise unless it is silent."""
        if not self.__finder.is_silent(self.__name__):
            self.__refuse()
        self.__finder.say(self.__name__)

    def __getattr__(self, name: str) -> Stub:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Stub(f"{self.__name__}.{name}", self.__finder)

    def __mro_entries__(self, bases: tuple) -> NoReturn:
        self.__refuse()

    def __iter__(self) -> NoReturn:
        self.__refuse()

    def __getitem__(self, key: object) -> NoReturn:
        self.__refuse()

    def __repr__(self) -> str:
        return f"<{self.__name__}: not there while grading>"

    def __refuse(self) -> NoReturn:
        raise RuntimeError(f"{self.__name__} does not run while grading")


class StubModule(types.ModuleType):
    """A module in which every name can be found."""

    __path__: list[str]
    _finder: Finder

    def __getattr__(self, name: str) -> Stub:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Stub(f"{self.__name__}.{name}", self._finder)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds stubs for `names` and everything below them.

    A silent name is either dotted, for this one alone, or a last part
    such as ``check``.
    """

    def __init__(self, names: Sequence[str], silent: Sequence[str]) -> None:
        self.names = tuple(names)
        self.silent = tuple(silent)
        self.said: set[str] = set()

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a stub's spec for a name that has one."""
        if fullname.partition(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(
        self, spec: importlib.machinery.ModuleSpec
    ) -> StubModule:
        """Return an empty module that has every name."""
        module = StubModule(spec.name, "Not there while grading.")
        module._finder = self
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Add nothing."""

    def remove(self) -> None:
        """Take the stubs away, and whatever is loaded by their names."""
        for name in list(sys.modules):
            if name.partition(".")[0] in self.names:
                del sys.modules[name]
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def is_silent(self, name: str) -> bool:
        """Tell whether calling this name does nothing."""
        return name in self.silent or name.rpartition(".")[2] in self.silent

    def say(self, name: str) -> None:
        """Say once that a name does not run."""
        if name not in self.said:
            self.said.add(name)
            print(f"({name} does not run while grading.)")


def install(names: Sequence[str], silent: Sequence[str] = ()) -> Finder:
    """Put stubs in place of packages, even of loaded ones.

    >>> finder = install(["not_there"], silent=["check"])
    >>> from not_there import check
    >>> check("a.question")
    (not_there.check does not run while grading.)
    >>> check("another")
    >>> import not_there.deep
    >>> not_there.deep.attention([1.0])
    Traceback (most recent call last):
    RuntimeError: not_there.deep.attention does not run while grading
    >>> finder.remove()
    """
    finder = Finder(names, silent)
    finder.remove()
    sys.meta_path.insert(0, finder)
    return finder
