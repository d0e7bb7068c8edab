"""What a submission's cells may use."""

from grading import judge_notebooks as nb

from attncourse.grading.judging.steps import allowed
from attncourse.grading.model import Limits, Step

TIGHT = Limits(cpu_s=2.0, wall_s=5.0, memory_bytes=1 << 28)


def test_a_students_own_cell_has_the_limits_that_the_plan_was_given():
    cells = [nb.answer("### BEGIN SOLUTION\nf = 1\n### END SOLUTION", "f")]
    job = nb.job(cells, limits=TIGHT)
    assert allowed(job, Step(do="cell", source="1"), 0) == TIGHT
    assert allowed(job, Step(do="cell", grade_id="f"), 0) == TIGHT


def test_a_cell_may_train_for_longer_than_a_tests_calls_by_default():
    cells = [
        nb.answer("### BEGIN SOLUTION\nf = 1\n### END SOLUTION", "f"),
        nb.check("f", "f-test"),
        nb.cell("1"),
    ]
    job = nb.job(cells, limits=None)
    for step in (Step(do="cell", source="1"), Step(do="cell", grade_id="f")):
        assert allowed(job, step, 0).cpu_s == 10.0
        assert allowed(job, step, 0).wall_s == 30.0
        assert allowed(job, step, 2).cpu_s == 5.0
    assert job.plan.cell("f-test").limits == Limits()


def test_after_the_second_runaway_cell_each_has_half_as_much():
    job = nb.job([nb.cell("1")], limits=TIGHT)
    step = Step(do="cell", source="1")
    assert allowed(job, step, 1).cpu_s == 2.0
    assert allowed(job, step, 2).cpu_s == 1.0
    assert allowed(job, step, 9).cpu_s == 1.0
