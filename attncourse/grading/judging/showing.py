"""Show in the judge what a student's function showed during a call."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any


def show(outputs: Iterable[dict[str, Any]], *, visible: bool) -> None:
    """Print what was printed; show figures only where a student may look.

    A test can so catch and judge what a function prints.
    """
    for output in outputs:
        if output.get("output_type") == "stream":
            error = output.get("name") == "stderr"
            (sys.stderr if error else sys.stdout).write(output["text"])
        elif visible and "data" in output:
            _publish(output["data"])


def _publish(data: dict[str, Any]) -> None:
    from IPython.display import publish_display_data

    publish_display_data(data)
