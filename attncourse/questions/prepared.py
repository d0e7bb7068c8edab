"""Compiles what wrong answers are compared with, when it is imported.

A server of judges imports it after the questions that it is for. It takes
longer than any one answer does, and each judge that is forked from the
server finds it done. Nothing else needs it.
"""

from __future__ import annotations

import sys

from attncourse.checking.diagnose import prepare
from attncourse.checking.question import Question

_HERE = __name__.rpartition(".")[0]

for _name, _module in sorted(sys.modules.items()):
    _question = getattr(_module, "QUESTION", None)
    if _name.startswith(f"{_HERE}.") and isinstance(_question, Question):
        prepare(_question)
