"""Attention, explained, implemented and examined.

``attncourse.reference`` says what each mechanism is, in NumPy float64;
``attncourse.fast`` does the same in torch; ``attncourse.questions`` asks
students for it. Importing this package loads none of them.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["check", "grade"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `import attncourse` costs no NumPy.
    if name in __all__:
        from attncourse import questions

        return getattr(questions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
