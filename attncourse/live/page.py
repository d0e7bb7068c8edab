"""One request in, one answer out, both as JSON: all that a worker calls."""

from __future__ import annotations

import json

from attncourse import live


def answer(text: str) -> str:
    """Return the answer to a request.

    Examples
    --------
    >>> answer('{"what": "run", "source": "1 + 1", "questionId": null}')
    '{"output": "", "value": "2", "error": null, "cut": false}'
    """
    request = json.loads(text)
    question_id, source = request["questionId"], request["source"]
    if request["what"] == "check":
        told = live.check(question_id, source)
    else:
        told = live.run(source, question_id)
    return json.dumps(told)
