"""What no student may see: all that the hidden tests hold and draw."""

import base64
import functools
import html

import numpy as np
from attacks import course


def hidden():
    """Return what the hidden tests drew under the seed, in one namespace."""
    space = {"np": np, "os": _Environment, "print": lambda *said: None}
    texts = [course.HONEST[each] for each in course.ANSWERS]
    exec("import numpy as np\n" + "\n".join(texts), space)
    for test in ("t-norm", "t-rows", "t-tally"):
        exec(course.TESTS[test], space)
    return space


class _Environment:
    environ = {"GRADING_SEED": course.SEED}  # noqa: RUF012


@functools.cache
def secrets():
    """Return every text that no student may see."""
    space = hidden()
    numbers = [
        value
        for array in (*space["kept"], *map(space["wanted"], space["kept"]))
        for value in array.ravel()
    ]
    numbers += [value for row in space["drawn"] for value in row if value]
    numbers += [8123.456789, 71.98765432, 1.0625314159]
    # Nine digits: enough that no honest text holds them by chance.
    digits = [f"{value:.12f}"[:10] for value in numbers]
    raw = np.array(numbers).tobytes()
    arrays = [raw[k : k + 16] for k in range(0, len(raw) - 16, 8)]
    texts = [
        course.SEED,
        course.SEED[:24],
        str(int(course.SEED, 16)),
        str(course.SQUARES),
        course.LABEL,
    ]
    texts += space["names"] + [each[-10:] for each in space["names"]]
    return tuple(
        {
            *digits,
            *(each.hex() for each in arrays),
            *(form for text in [*texts, *CANARIES] for form in forms(text)),
        }
    )


def forms(text):
    """Return `text` as it is, and as somebody would disguise it."""
    data = text.encode()
    return (
        text,
        text[::-1],
        data.hex(),
        base64.b64encode(data).decode().rstrip("=")[:-1],
        " ".join(text),
        ", ".join(str(byte) for byte in data),
    )


CANARIES = (
    "CANARY-",
    "right_plain",
    "right_mean",
    "wrong_scale",
    "wrong_order",
    "wrong_error",
)


def leaks(sights):
    """Return which secrets stand in what the student sees, and where."""
    found = []
    for where, text in sights.items():
        readings = {text, html.unescape(text), text.replace("\\n", "")}
        found += [
            (where, secret)
            for secret in (*secrets(), "CANARY-")
            if any(secret in each for each in readings)
        ]
    return found
