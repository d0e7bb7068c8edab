"""The same on a Dask cluster, though one of its workers is killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_cluster import Dask
from engine_samples import children, plan, setup, task

from attncourse.grading.model import GradingError
from attncourse.grading.running.engine import Grader

pytest.importorskip("distributed", reason="needs the extra `dask`")
from attncourse.grading.running import cluster

PLANS = {"p": plan()}
TESTS = str(Path(__file__).parents[1])
# Dask closes some of its sockets only when the interpreter ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def dask(tmp_path_factory) -> Iterator[Dask]:
    made = Dask(tmp_path_factory.mktemp("dask"))
    yield made
    made.close()
    late = time.monotonic() + 20
    while children():
        assert time.monotonic() < late, "processes outlive the cluster"
        time.sleep(0.1)


def on_cluster(dask, tasks, **more) -> dict:
    with cluster.Cluster(dask.address, setup(), **more) as made:
        made.client.wait_for_workers(2, timeout=60)
        return {t.student: m for t, m in made.grade(tasks, PLANS)}


def without_pids(marked) -> dict:
    told = marked.to_json()
    told["outcome"]["notes"] = []
    return told


def test_a_cluster_marks_as_this_machine_does(dask, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", TESTS)
    tasks = [task(f"s{n}", f"points {n / 2}") for n in range(6)]
    there = on_cluster(dask, tasks)
    here = Grader(setup(), workers=1).grade(tasks, PLANS)
    assert {s: without_pids(m) for s, m in there.items()} == {
        t.student: without_pids(m) for t, m in here
    }
    assert there["s3"].outcome.points == 1.5


def test_a_submission_that_kills_workers_is_kept_as_crashed(dask):
    said = []
    found = on_cluster(
        dask,
        [task("ada", "do die"), task("bao")],
        say=lambda *told: said.append(told),
    )
    assert found["ada"].lost
    assert found["ada"].outcome.questions[0].verdict == "crashed"
    assert found["bao"].outcome.points == 5.0
    assert [student for student, _ in said] == ["ada", "ada"]


def test_a_killed_dask_worker_loses_nobody(dask):
    tasks = [task(f"s{n}", "do sleep 0.3") for n in range(10)]
    found = {}
    with cluster.Cluster(dask.address, setup()) as made:
        made.client.wait_for_workers(2, timeout=60)
        for each, marked in made.grade(tasks, PLANS):
            found[each.student] = marked.outcome.points
            if len(found) == 3:
                dask.workers[0].kill()
    assert found == {f"s{n}": 5.0 for n in range(10)}
    dask.workers[0] = dask.worker()


def test_a_cluster_with_another_grader_is_refused(dask, monkeypatch):
    monkeypatch.setattr(cluster, "grader_key", lambda: "other")
    with pytest.raises(GradingError, match="differ from those here"):
        on_cluster(dask, [task("ada")])


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(
        GradingError, match=r"must answer at tcp://127.0.0.1:9"
    ):
        cluster.Cluster("tcp://127.0.0.1:9", setup())


def test_no_key_crosses(dask, monkeypatch):
    sent = []
    real = cluster._client

    def client(address):
        made = real(address)
        submit = made.submit

        def spy(function, message, **more):
            sent.append((function, message))
            return submit(function, message, **more)

        made.submit = spy
        return made

    monkeypatch.setattr(cluster, "_client", client)
    on_cluster(dask, [task("ada")])
    [(function, message)] = sent
    assert function is cluster.mark
    assert type(message) is bytes
    assert b"key of ada" in message  # the content's, which is no secret
