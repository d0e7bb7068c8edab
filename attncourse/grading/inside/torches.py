"""What modules and gradients of torch take, without importing torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any


def state(module: Any) -> dict[str, Any]:
    """Return the `state_dict` of a module as a plain dict."""
    return dict(module.state_dict())


def parameters(module: Any) -> dict[str, Any]:
    """Return the named parameters of a module as a plain dict."""
    return dict(module.named_parameters())


def gradients(
    function: Callable, args: tuple, kwargs: dict, cotangents: Any
) -> tuple[Any, dict[str, Any]]:
    """Call, run backward, and return the value and the gradients.

    `cotangents` None stands for ones. The gradients are those of floating
    tensors among the arguments and of a module's parameters; None where
    nothing depends on one.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        raise RuntimeError("gradients must be those of torch's tensors")
    leaves = [*_tensors(args), *_tensors(kwargs)]
    for leaf in leaves:
        leaf.grad = None
        if leaf.is_floating_point() and leaf.is_leaf:
            leaf.requires_grad_(True)
    owned = {}
    if isinstance(function, torch.nn.Module):
        owned = dict(function.named_parameters())
        function.zero_grad()
    value = function(*args, **kwargs)
    results = [each for each in _tensors(value) if each.requires_grad]
    if cotangents is None:
        pulls = [torch.ones_like(each) for each in results]
    else:
        pulls = list(_tensors(cotangents))
    torch.autograd.backward(results, pulls)
    grads = {
        "args": [_grad(each) for each in args],
        "kwargs": {name: _grad(each) for name, each in kwargs.items()},
        "parameters": {name: each.grad for name, each in owned.items()},
    }
    return value, grads


def _grad(value: Any) -> Any:
    """Return the gradient of a tensor, or of those in a list."""
    if isinstance(value, (list, tuple)):
        return [_grad(each) for each in value]
    return getattr(value, "grad", None)


def _tensors(value: Any) -> Iterator[Any]:
    """Yield the tensors in lists, tuples and dicts, in their order."""
    torch = sys.modules["torch"]
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)
