"""Hostile notebooks earn nothing, learn nothing and harm nobody."""

import json
import re

import pytest
from attacks import course, output, structure
from attacks.attack import Attack
from attacks.hall import Hall
from attacks.secrets_ import leaks
from attacks.suite import ATTACKS
from grading.chromium import opened

from attncourse.grading.inside import isolate

EACH = {
    f"{kind}: {attack.name}": attack
    for kind, attacks in ATTACKS.items()
    for attack in attacks
}
# However many cells a notebook has, and whatever each of them shows.
MOST_SHOWN = 2_000_000
BESIDE = (
    "timing: spins in many threads",
    "processes: fills memory with lists",
    "processes: sends signals to everybody",
    "output: floods its output below Python",
)


@pytest.fixture(scope="module")
def hall():
    held = isolate.available()
    if not held.complete:
        pytest.skip(
            "NO ATTACK WAS TRIED: this system cannot hold students' "
            f"processes: {'; '.join(held.missing)}"
        )
    made = Hall()
    made.expected = made.honestly()
    made.known = made.processes()
    yield made
    made.close()


def test_the_course_is_worth_attacking(hall):
    assert hall.expected == [
        (test, "pass", points) for test, points in course.MOST.items()
    ]
    assert len(EACH) >= 80
    texts = json.dumps([each.source for each in course.honest().cells])
    assert not leaks({"released": texts})
    assert leaks({"hidden": course.TESTS["t-norm"]})


@pytest.mark.parametrize("name", EACH)
def test_an_attack_earns_nothing_and_harms_nobody(hall, name):
    attack = EACH[name]
    outcome, sights = hall.grade(attack)
    check_points(attack, outcome)
    assert leaks(sights) == []
    check_tries(attack, sights)
    check_class(hall)


def check_points(attack, outcome):
    """No point beyond the honest ones, and no question lost."""
    judged = {each.grade_id: each for each in outcome.questions}
    assert set(judged) == set(course.MOST)
    for test, (least, most) in attack.limits().items():
        got = judged[test]
        assert least <= got.points <= most, got
        assert got.max_points == course.MOST[test]
        allowed = attack.verdicts.get(test)
        assert allowed is None or got.verdict in allowed, got
        assert got.says
        assert got.error is None or got.error.isidentifier()
        assert got.line is None or 1 <= got.line <= 400, got


def check_tries(attack, sights):
    """What was tried was refused, and it was tried."""
    outputs = sights["outputs"]
    assert len(outputs) < MOST_SHOWN
    assert len(sights["page"]) < MOST_SHOWN
    if attack.refused:
        got = re.findall(r"GOT [^\\]{0,120}", outputs)
        assert got == []
        assert "REFUSED" in outputs
    for text in attack.shown:
        assert text in outputs
    for text in attack.banned:
        assert text not in outputs


def check_class(hall):
    """Nothing is left of the attack, and the next student is unaffected."""
    assert hall.victim.poll() is None
    assert not hall.heard()
    assert hall.traces() == []
    assert hall.digest() == hall.before
    assert hall.honestly() == hall.expected
    assert hall.left_behind(hall.known) == set()


@pytest.mark.parametrize("name", BESIDE)
def test_an_attack_leaves_those_graded_beside_it_alone(hall, name):
    ours = hall.beside(EACH[name])
    assert ours == [hall.expected] * len(ours)
    assert hall.left_behind(hall.known) == set()


@pytest.mark.browser
def test_the_page_of_a_hostile_notebook_does_nothing(hall, tmp_path):
    everything = Attack(
        name="shows all that a page could hold",
        first=output.SCRIPTS,
        answers={"a-norm": output.RAISES + output.MARKS, "a-tally": "pass"},
        change=structure.with_titles,
        last=output.BINARY,
        student="<script>document.title='PWN'+'ED'</script>",
    )
    outcome, sights = hall.grade(everything)
    check_points(everything, outcome)
    page = tmp_path / "page.html"
    page.write_text(sights["page"], encoding="utf-8")
    told, _ = opened(page, tmp_path, "--dump-dom")
    assert "12345" in told
    assert "PWNED" not in re.search("<title>.*?</title>", told, re.S)[0]
    assert not hall.heard()
