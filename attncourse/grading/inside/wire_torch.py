"""How torch's tensors cross, if torch is loaded.

A tensor crosses as an array of its raw numbers, with torch's own name of
the type: NumPy has no bfloat16.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np

from .wire_kinds import WireError

_SAME = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16"),
    *("int32", "int64", "float16", "float32", "float64", "complex64"),
    "complex128",
)
# By torch's name: the type in NumPy that holds its bits.
_RAW = {name: name for name in _SAME} | {
    "bfloat16": "int16",
    "float8_e4m3fn": "uint8",
    "float8_e5m2": "uint8",
}
_DIFFERENTIABLE = ("float", "bfloat", "complex")
_DEVICE = re.compile(r"(cpu|cuda|mps|meta)(:[0-9]{1,3})?\Z")
REQUIRES_GRAD, PARAMETER, HAS_GRAD = 1, 2, 4


def torch() -> Any:
    """Return torch if somebody imported it, else None."""
    module = sys.modules.get("torch")
    return module if hasattr(module, "Tensor") else None


def tensor_parts(tensor: Any) -> tuple[str, int, np.ndarray, Any]:
    """Return a tensor's type, flags, raw numbers, and its `.grad`."""
    lib = torch()
    with lib._C.DisableTorchFunctionSubclass():
        kind = lib.Tensor
        name = dtype_name(kind.dtype.__get__(tensor))
        if kind.layout.__get__(tensor) is not lib.strided or name not in _RAW:
            raise WireError(f"a tensor of type {name} cannot cross")
        flags = REQUIRES_GRAD * kind.requires_grad.__get__(tensor)
        flags |= PARAMETER * isinstance(tensor, lib.nn.Parameter)
        leaf = kind.is_leaf.__get__(tensor)
        grad = kind.grad.__get__(tensor) if leaf else None
        flags |= HAS_GRAD * (grad is not None)
        raw = kind.detach(tensor).as_subclass(kind)
        raw = raw.cpu().resolve_conj().resolve_neg()
        if name != _RAW[name]:
            raw = raw.view(getattr(lib, _RAW[name]))
        return name, flags, raw.numpy(), grad


def tensor_from(name: str, flags: int, raw: np.ndarray, grad: Any) -> Any:
    """Return the tensor; where torch is not loaded, an array."""
    if name not in _RAW or flags > 7 or raw.dtype != np.dtype(_RAW[name]):
        raise WireError("a tensor's head must make sense")
    differentiable = name.startswith(_DIFFERENTIABLE)
    if flags & (REQUIRES_GRAD | HAS_GRAD) and not differentiable:
        raise WireError(f"a tensor of {name} has no gradient")
    lib = torch()
    if lib is None:
        return _array(name, raw)
    if any(stride < 0 for stride in raw.strides):
        raise WireError("a tensor's strides must not be negative")
    if not raw.flags.writeable:
        raise WireError("a tensor's numbers must be writeable")
    tensor = lib.from_numpy(raw)
    if name != _RAW[name]:
        tensor = tensor.view(getattr(lib, name))
    if flags & PARAMETER:
        tensor = lib.nn.Parameter(tensor, bool(flags & REQUIRES_GRAD))
    elif flags & REQUIRES_GRAD:
        tensor.requires_grad_(True)
    if flags & HAS_GRAD:
        if type(grad) is not lib.Tensor:
            raise WireError("a gradient must be a tensor")
        tensor.grad = grad
    return tensor


def _array(name: str, raw: np.ndarray) -> np.ndarray:
    if name == "bfloat16":
        wide = raw.view(np.uint16).astype(np.uint32) << 16
        return wide.view(np.float32)
    if name not in ("bool", str(raw.dtype)):
        raise WireError(f"without torch, {name} cannot be read")
    return raw


def dtype_name(dtype: Any) -> str:
    """Return ``float32`` for `torch.float32`."""
    return str(dtype).removeprefix("torch.")


def dtype_from(name: str) -> Any:
    """Return torch's dtype; where torch is not loaded, its name."""
    if name not in _RAW:
        raise WireError(f"a torch dtype must be known: got {name!r:.40}")
    lib = torch()
    return f"torch.{name}" if lib is None else getattr(lib, name)


def device_from(name: str) -> Any:
    """Return torch's device; where torch is not loaded, its name."""
    if not _DEVICE.match(name):
        raise WireError(f"a torch device must be known: got {name!r:.40}")
    lib = torch()
    return name if lib is None else lib.device(name)
