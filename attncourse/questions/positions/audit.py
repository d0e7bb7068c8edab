"""Write a test that tells right rotary encodings from wrong ones."""

import numpy as np

from attncourse.checking import Audit, edited


def rotate(x, positions):
    """Return x with neighbouring columns turned: a right candidate."""
    dim = x.shape[-1]
    omega = 10000.0 ** (-np.arange(0, dim, 2) / dim)
    angles = positions[..., None] * omega
    cos, sin = np.cos(angles), np.sin(angles)
    even, odd = x[..., 0::2], x[..., 1::2]
    pairs = [even * cos - odd * sin, even * sin + odd * cos]
    return np.stack(pairs, axis=-1).reshape(x.shape)


def rotate_by_phases(x, positions):
    """Return the same by way of complex numbers."""
    dim = x.shape[-1]
    omega = 10000.0 ** (-np.arange(0, dim, 2) / dim)
    pairs = x[..., 0::2] + 1j * x[..., 1::2]
    pairs = pairs * np.exp(1j * positions[..., None] * omega)
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(x.shape)


def one_example(x, positions):
    """Turn the first example only and repeat it: right for a matrix."""
    first = x.reshape(-1, *x.shape[-2:])[0]
    return rotate(np.broadcast_to(first, x.shape), positions)


QUESTION = Audit(
    id="positions.audit",
    title="Write a test for rotary positions",
    function_name="test_rotary",
    points=3,
    needed=18,
    right=(rotate, rotate_by_phases),
    wrong=(
        edited(rotate, ("10000.0", "100.0")),
        edited(rotate, ("even * cos - odd", "even * cos + odd")),
        edited(
            rotate,
            ("positions[..., None]", "np.arange(x.shape[-2])[:, None]"),
        ),
        one_example,
        edited(
            rotate,
            (
                "np.stack(pairs, axis=-1).reshape(x.shape)",
                "np.concatenate(pairs, axis=-1)",
            ),
        ),
    ),
    difficulty=4,
    importance=4,
    minutes=20,
    hints=(
        "The identity keeps lengths and does not disturb distances. Which "
        "example would it fail?",
        "Small cases that you can do by hand: one pair at position 1; "
        "one-hot rows of width 4 or 6 at one position.",
        "Use positions that do not start at zero and are not sorted, an "
        "axis in front, and a copy of x to compare with afterwards.",
    ),
)
