"""A sign, an axis or a constant changed in a reference is noticed.

By default every STEP-th mutant of each module is tried, and all of them by
`make test-all`; one process tries those of a unit. Mutants that change
nothing that a caller can see are listed, with the reason.
"""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from attncourse import reference

TESTS = Path(__file__).parent
REFERENCE = "attncourse.reference."
MODULES = [name for _, name, _ in pkgutil.iter_modules(reference.__path__)]
# heads_parts belongs to heads.
UNITS = sorted({name.partition("_")[0] for name in MODULES})
STEP = 17
# Only calls of other modules: no sign, axis, constant or comparison.
WITHOUT_PLACES = {"blocks_layers"}
# (module, statement, mutated statement): why nobody can tell the difference.
NO_WEIGHT = "multiplied by a weight of zero"
EMPTY_ROW = "a row without a key: every exponential is zero anyway"
EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "dense",
        "seen = np.where(np.asarray(mask)[..., None], "
        "v[..., None, :, :], 0.0)",
        "seen = np.where(np.asarray(mask)[..., None], "
        "v[..., None, :, :], 1.0)",
    ): NO_WEIGHT,
    (
        "softmax",
        "shift = np.where(np.isfinite(highest), highest, 0.0)",
        "shift = np.where(np.isfinite(highest), highest, 1.0)",
    ): EMPTY_ROW,
    (
        "softmax",
        "return exponentials / np.where(total > 0, total, 1.0)",
        "return exponentials / np.where(total > 0, total, 2.0)",
    ): EMPTY_ROW,
    (
        "softmax",
        "return exponentials / np.where(total > 0, total, 1.0)",
        "return exponentials / np.where(total > 1, total, 1.0)",
    ): "the largest exponential is one, so a total between is one",
    (
        "softmax",
        "logarithms = np.log(np.where(a > 0, a, 1.0))",
        "logarithms = np.log(np.where(a > 0, a, 2.0))",
    ): NO_WEIGHT,
    (
        "positions",
        "seen = np.where(np.asarray(mask)[..., None], "
        "v[..., None, :, :], 0.0)",
        "seen = np.where(np.asarray(mask)[..., None], "
        "v[..., None, :, :], 1.0)",
    ): NO_WEIGHT,
    (
        "positions_tables",
        "return np.where(distance < exact, distance, far)",
        "return np.where(distance <= exact, distance, far)",
    ): "the first coarse bucket begins with this very distance",
    (
        "positions_tables",
        "carried = np.where(weights[..., None] == 0, 0.0, carried)",
        "carried = np.where(weights[..., None] == 0, 1.0, carried)",
    ): NO_WEIGHT,
    (
        "lora_adapter",
        "while (far := (np.abs(numbers) > 2)).any():",
        "while (far := (np.abs(numbers) >= 2)).any():",
    ): "a number that is drawn is never two to the last bit",
    (
        "sparsemax_gradients",
        "u = np.where(seen, np.where(seen, a, 1.0) ** (2.0 - alpha), none)",
        "u = np.where(seen, np.where(seen, a, 2.0) ** (2.0 - alpha), none)",
    ): "the outer choice takes it only where the inner took the weight",
    (
        "sparsemax_gradients",
        "g = np.where(seen, g, 0.0)",
        "g = np.where(seen, g, 1.0)",
    ): NO_WEIGHT,
    (
        "adaptive_span",
        "bias = np.log(np.where(seen, soft, 1.0))",
        "bias = np.log(np.where(seen, soft, 2.0))",
    ): "what is not seen is hidden by the mask, whatever is added to it",
    (
        "sparsemax",
        "kept = np.where(candidates <= ordered, candidates, FLOOR)",
        "kept = np.where(candidates < ordered, candidates, FLOOR)",
    ): "a key exactly at the threshold has no weight and does not move it",
    (
        "spatial",
        "seen = np.where(weights == 0, 0.0, pixels)",
        "seen = np.where(weights == 0, 1.0, pixels)",
    ): NO_WEIGHT,
    (
        "spatial",
        "seen = np.where(finite, image, 0.0)",
        "seen = np.where(finite, image, 1.0)",
    ): "a pixel that is not finite has no weight, or spoils the sum",
    (
        "crossmodal_masks",
        "return (np.where(sees[..., None], x, 0.0), "
        "np.where(seen[..., None], context, 0.0))",
        "return (np.where(sees[..., None], x, 1.0), "
        "np.where(seen[..., None], context, 0.0))",
    ): NO_WEIGHT,
    (
        "crossmodal_masks",
        "return (np.where(sees[..., None], x, 0.0), "
        "np.where(seen[..., None], context, 0.0))",
        "return (np.where(sees[..., None], x, 0.0), "
        "np.where(seen[..., None], context, 1.0))",
    ): NO_WEIGHT,
    (
        "recurrent_alignment",
        "weights = np.where(mask, alignment, 0.0)[..., None, :]",
        "weights = np.where(mask, alignment, 1.0)[..., None, :]",
    ): "what it weighs is zero already",
    (
        "luong_local",
        "apart = np.where(allowed, apart, 0.0)",
        "apart = np.where(allowed, apart, 1.0)",
    ): NO_WEIGHT,
}


def survivors(unit, only):
    """Return the unlisted mutants of a unit's modules that live on."""
    modules = [name for name in MODULES if name.partition("_")[0] == unit]
    run = subprocess.run(
        [
            sys.executable,
            str(TESTS / "mutate.py"),
            str(TESTS / "reference" / f"test_{unit}.py"),
            *(REFERENCE + name for name in modules),
            "--only",
            only,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    *found, last = map(json.loads, run.stdout.splitlines())
    # A mutator that finds nothing would let every test pass.
    assert last["tried"].keys() == {REFERENCE + name for name in modules}
    for name in modules:
        tried = last["tried"][REFERENCE + name]
        assert (tried == 0) == (name in WITHOUT_PLACES), name
    return [each for each in found if not equivalent(each)]


def equivalent(mutant):
    """Tell if a mutant is listed as one that changes nothing."""
    module = mutant["module"].removeprefix(REFERENCE)
    return (module, mutant["before"], mutant["after"]) in EQUIVALENT


@pytest.mark.parametrize("unit", UNITS)
def test_a_sample_of_mutants_dies(unit):
    assert survivors(unit, f"0/{STEP}") == []


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_every_mutant_dies(unit):
    assert survivors(unit, "0/1") == []
