"""Judge one submission: run it in the sandbox, its tests out here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attncourse.grading.model import Job, Judged, Outcome


def judge(
    job: Job,
    *,
    sandbox_address: str,
    shell: Any = None,
    closed: Sequence[Judged] = (),
    report: Callable[[str, Any], None] | None = None,
) -> Outcome:
    """Return what came of one submission.

    Meant for a process of its own: it runs the instructor's test cells in
    here, and takes this process's shell and environment for it.

    Parameters
    ----------
    closed : what has been judged by a judge that died; not tried again.
    report : is told of each thing done, so that nothing is lost if this
        process dies.
    """
    raise NotImplementedError
