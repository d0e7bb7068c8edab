"""Write arguments that came back from a call into the judge's own.

So "in place" and "left as it was" are judged out here: what a function did
to its copy of an argument is done to the argument that the test holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attncourse.grading.inside import writing
from attncourse.grading.sandbox.replies import Called


def written_back(
    called: Called,
    args: tuple,
    kwargs: dict[str, Any],
    remember: Callable[[str], None],
) -> Any:
    """Return the value of a call, once its arguments are as it left them.

    Where the value is an argument, or holds one, it is the judge's own.
    What cannot be written, such as another shape, is remembered.
    """
    came = called.args, called.kwargs
    return writing.written_back(called.value, came, args, kwargs, remember)
