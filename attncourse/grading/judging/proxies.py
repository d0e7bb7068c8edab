"""What stands in a test for a student's function, class or object.

A proxy forwards what asks a student's object for data: calls, methods,
attributes, iteration. It forwards nothing in which an object could decide
about itself: a comparison, a truth value, arithmetic, an array protocol.
These raise `ProxyError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from attncourse.grading.judging.each import call_each
from attncourse.grading.judging.signatures import signature
from attncourse.grading.judging.writing import written_back

if TYPE_CHECKING:
    from attncourse.grading.inside.wire import Handle
    from attncourse.grading.sandbox.replies import Called, Described

MOST_ITEMS = 100_000
# Raised for each of these, between two underscores on either side.
REFUSED = (
    *("eq", "ne", "lt", "le", "gt", "ge"),
    *("bool", "int", "float", "complex", "index", "bytes"),
    *("round", "trunc", "floor", "ceil"),
    *("len", "getitem", "setitem", "delitem", "contains", "reversed"),
    *("array", "array_ufunc", "array_function", "dlpack"),
    *("neg", "pos", "abs", "invert"),
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod"),
    *("divmod", "pow", "lshift", "rshift", "and", "or", "xor"),
    *("radd", "rsub", "rmul", "rmatmul", "rtruediv", "rfloordiv", "rmod"),
    *("rdivmod", "rpow", "rlshift", "rrshift", "rand", "ror", "rxor"),
    *("iadd", "isub", "imul", "imatmul", "itruediv", "ifloordiv", "imod"),
    *("ipow", "ilshift", "irshift", "iand", "ior", "ixor"),
    *("copy", "deepcopy", "reduce", "reduce_ex"),
)
# `list` asks for this one and goes on without it.
ASKED_IN_PASSING = "__len__"


class ProxyError(TypeError):
    """A test asks a student's object what it must ask its data."""


class Holder(Protocol):
    """Who holds the student's process, and asks it."""

    def ask(self, ref: Ref, what: str, *args: Any, **options: Any) -> Called:
        """Send a request of `sandbox.Child`; a failure is raised."""

    def several(
        self, ref: Ref, given: Sequence[tuple[tuple, dict[str, Any]]]
    ) -> list[Called]:
        """Call with the first of these arguments, in one exchange."""

    def heard(
        self, called: Called, args: tuple = (), kwargs: dict | None = None
    ) -> Called:
        """Show what a request printed; raise how it failed."""

    def describe(self, ref: Ref) -> Described:
        """Return how the object presents itself."""

    def remember(self, text: str) -> None:
        """Note what an instructor should know of this test."""


@dataclass(eq=False)
class Ref:
    """Where an object is: its holder, its process, its handle there.

    `path` is the global name it has, by which it is found again in
    another process that ran the same cells.
    """

    holder: Holder
    place: Any
    handle: Handle
    path: str | None = None
    fresh: bool = False


class Proxy:
    """Stands for an object of the student's process."""

    # Names that no student's attribute has.
    __slots__ = ("_proxy_items", "_proxy_ref")

    def __init__(self, ref: Ref) -> None:
        object.__setattr__(self, "_proxy_ref", ref)
        object.__setattr__(self, "_proxy_items", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, construct of the class, apply the object."""
        ref = ref_of(self)
        called = ref.holder.ask(ref, "call", args, kwargs)
        return written_back(called, args, kwargs, ref.holder.remember)

    def __call_each__(
        self, given: Sequence[tuple[tuple, dict[str, Any]]]
    ) -> list[tuple[Any, BaseException | None]]:
        """Call it with each of these arguments, in turn.

        Returns for each call its value, or the exception that it raised.
        """
        return call_each(ref_of(self), self, given)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_repr_", "_ipython_")):
            return _presented(ref_of(self), name)
        return ref_of(self).holder.ask(ref_of(self), "get", name).value

    def __setattr__(self, name: str, value: Any) -> None:
        ref_of(self).holder.ask(ref_of(self), "set", name, value)

    def __iter__(self) -> Iterator[Any]:
        """Go through its items, which are fetched once."""
        if self._proxy_items is None:
            items = _Items(ref_of(self))
            object.__setattr__(self, "_proxy_items", items)
        return iter(self._proxy_items)

    def __next__(self) -> Any:
        ref = ref_of(self)
        came = ref.holder.ask(ref, "items", 1).value
        if not came:
            raise StopIteration
        return came[0]

    def __fresh__(self) -> Proxy:
        """Return a proxy for a copy that remembers no earlier call."""
        ref = ref_of(self)
        return Proxy(replace(ref, fresh=True))

    def __instancecheck__(self, other: Any) -> bool:
        """Tell whether another proxy's object is of this class."""
        return isinstance(other, Proxy) and _is_of(ref_of(other), ref_of(self))

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        handle = ref_of(self).handle
        return f"<the student's {handle.kind} {handle.name}>"

    def __str__(self) -> str:
        ref = ref_of(self)
        if ref.handle.kind != "object":
            return repr(self)
        text = ref.holder.ask(ref, "method", "__str__").value
        if not isinstance(text, str):
            raise ProxyError("__str__ must return a string")
        return text

    @classmethod
    def __torch_function__(cls, function: Any, *_: Any) -> Any:
        """Refuse what torch would do with it."""
        raise ProxyError(f"a student's object is no tensor: got {function}")


class _Presented:
    """What a proxy says of what it stands for, and a proxy's type of itself.

    Every type has these names, so they never come to `__getattr__`.
    """

    def __init__(self, name: str, own: str) -> None:
        self.name = name
        self.own = own

    def __get__(self, proxy: Proxy | None, kind: type) -> str | None:
        if proxy is None:
            return self.own
        return _presented(ref_of(proxy), self.name)


def _refusing(name: str) -> Any:
    def refuse(self: Any, *_: Any, **__: Any) -> Any:
        ref = ref_of(self)
        text = (
            f"a test must not use {name} of a student's object, it must ask "
            f"for its data: got the {ref.handle.kind} {ref.handle.name}"
        )
        if name != ASKED_IN_PASSING:
            ref.holder.remember(text)
        raise ProxyError(text)

    return refuse


for _name in REFUSED:
    setattr(Proxy, f"__{_name}__", _refusing(f"__{_name}__"))
for _name in ("__doc__", "__module__"):
    setattr(Proxy, _name, _Presented(_name, getattr(Proxy, _name)))


class _Items:
    """The items of an object, asked for as they are needed, then kept."""

    def __init__(self, ref: Ref) -> None:
        self.kept: list[Any] = []
        self.ended = False
        iterator = ref.holder.ask(ref, "method", "__iter__").value
        if isinstance(iterator, Proxy):
            self.ref = ref_of(iterator)
        elif isinstance(iterator, (list, tuple)):
            self.kept, self.ended = list(iterator), True
        else:
            raise ProxyError("__iter__ must return an iterator")

    def __iter__(self) -> Iterator[Any]:
        position, most = 0, 8
        while True:
            if position < len(self.kept):
                yield self.kept[position]
                position += 1
            elif self.ended or position >= MOST_ITEMS:
                return
            else:
                self._more(most)
                most = min(4 * most, 4096)

    def _more(self, most: int) -> None:
        came = self.ref.holder.ask(self.ref, "items", most).value
        if not isinstance(came, list):
            raise ProxyError("items must come in a list")
        self.kept += came
        self.ended = len(came) < most


def ref_of(proxy: Proxy) -> Ref:
    """Return where a proxy's object is."""
    return proxy._proxy_ref


def can_be_called(value: Any) -> bool:
    """Tell whether it is sensible to call a value or what a proxy is for."""
    if not isinstance(value, Proxy):
        return callable(value)
    ref = ref_of(value)
    if ref.handle.kind != "object":
        return ref.handle.kind != "module"
    return ref.holder.describe(ref).signature is not None


def vjp(
    function: Proxy,
    args: tuple,
    cotangents: Any = None,
    **kwargs: Any,
) -> dict[str, Any]:
    """Return gradients of a student's function, run backward over there.

    `cotangents` are the loss's gradients in the results (None: of one
    number, by itself). The gradients are under ``args``, ``kwargs`` and
    ``parameters``.
    """
    ref = ref_of(function)
    called = ref.holder.ask(ref, "gradient", args, kwargs, cotangents)
    return called.gradients or {}


def _presented(ref: Ref, name: str) -> Any:
    """Answer what introspection asks; texts only, no code."""
    if name == "__name__" or name == "__qualname__":
        return ref.handle.name
    if name == "__module__":
        return "__main__"
    if name == "__doc__":
        return ref.holder.describe(ref).doc
    if name == "__signature__" and ref.handle.kind != "module":
        return signature(ref.holder.describe(ref).signature)
    raise AttributeError(
        f"a test must not look into a student's {ref.handle.kind}: got {name}"
    )


def _is_of(ref: Ref, wanted: Ref) -> bool:
    """Tell whether an object is of a student's class."""
    own = ref.holder.ask(ref, "get", "__class__").value
    if not isinstance(own, Proxy):
        return False
    row = ref.holder.ask(ref_of(own), "method", "mro").value
    return any(
        isinstance(each, Proxy) and ref_of(each).handle.id == wanted.handle.id
        for each in (row if isinstance(row, list) else ())
    )
