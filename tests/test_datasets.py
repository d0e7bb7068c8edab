"""The shipped data are the data they claim to be."""

import hashlib

import numpy as np
import pytest

from attncourse.datasets import DARKEST, digits

# From the UCI repository's own description of the test set.
EXAMPLES_PER_CLASS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_every_class_has_the_published_number_of_examples():
    assert np.bincount(digits().labels).tolist() == EXAMPLES_PER_CLASS


def test_images_are_float64_from_paper_to_ink():
    images = digits().images
    assert images.dtype == np.float64
    assert images.min() == 0
    assert images.max() == 1


def test_pixels_are_those_of_the_original_file():
    pixels = (digits().images * DARKEST).astype(np.uint8)
    labels = digits().labels.astype(np.uint8)
    data = pixels.tobytes() + labels.tobytes()
    assert hashlib.sha256(data).hexdigest() == SHA256


def test_the_first_image_looks_like_a_zero():
    # The first line of the original file.
    first = (digits().images[0] * DARKEST).astype(int)
    assert first[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert digits().labels[0] == 0


def test_nobody_can_change_the_shared_arrays():
    with pytest.raises(ValueError, match="read-only"):
        digits().images[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        digits().labels[0] = 1
    with pytest.raises(AttributeError):
        digits().labels = None
    assert digits() is digits()
