from pathlib import Path

import pytest
from confined import needs_isolation
from engine_samples import children

from attncourse.grading.model import Limits
from attncourse.grading.sandbox.owner import Child, Sandbox

torch = pytest.importorskip("torch")
pytestmark = needs_isolation
LIMITS = Limits(cpu_s=20, wall_s=60)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(preload=("numpy", "torch")) as made:
        yield made


@pytest.fixture
def child(sandbox):
    with Child(sandbox.address, limits=LIMITS, visible=True, seed=7) as made:
        assert made.run("import torch", "cell 1").failed is None
        yield made


def defined(child, source, name="f"):
    ran = child.run(source, "cell 2")
    assert ran.failed is None, ran.failed
    return child.fetch(name)


def test_tensors_cross_both_ways_and_aliases_stay_aliases(child):
    f = defined(child, "def f(x): x.mul_(2); return x, x.sum()")
    x = torch.arange(3.0)
    came = child.call(f, (x,))
    value, total = came.value
    assert value is came.args[0]
    assert torch.equal(value, torch.tensor([0.0, 2.0, 4.0]))
    assert total.item() == 6.0


def test_a_module_is_made_applied_and_looked_into(child):
    kind = defined(
        child,
        "class Double(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.inner = torch.nn.Linear(2, 3)\n"
        "    def forward(self, x): return 2 * self.inner(x)",
        "Double",
    )
    assert kind.text == "torch.nn.Module"
    made = child.call(kind).value
    assert made.text == "torch.nn.Module"
    state = child.state(made).value
    assert {name: tuple(t.shape) for name, t in state.items()} == {
        "inner.weight": (3, 2),
        "inner.bias": (3,),
    }
    assert set(child.parameters(made).value) == set(state)
    x = torch.ones(1, 2)
    out = child.call(made, (x,)).value
    expected = 2 * (x @ state["inner.weight"].T + state["inner.bias"])
    torch.testing.assert_close(out, expected)
    came = child.gradient(made, (x,))
    grads = came.gradients["parameters"]
    torch.testing.assert_close(grads["inner.bias"], torch.full((3,), 2.0))
    torch.testing.assert_close(
        came.gradients["args"][0], 2 * state["inner.weight"].sum(0)[None]
    )


def test_gradients_are_pulled_back_from_given_ones(child):
    f = defined(child, "def f(x, *, y): return x * y, y")
    x, y = torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])
    pulls = (torch.tensor([1.0, 10.0]), torch.tensor([0.0, 1.0]))
    came = child.gradient(f, (x,), {"y": y}, pulls)
    torch.testing.assert_close(came.gradients["args"][0], y * pulls[0])
    torch.testing.assert_close(
        came.gradients["kwargs"]["y"], x * pulls[0] + pulls[1]
    )


def test_a_result_that_depends_on_nothing_fails_as_torch_does(child):
    f = defined(child, "def f(x): return torch.zeros(3)")
    came = child.gradient(f, (torch.ones(3),))
    assert came.gradients is None or came.gradients["args"] == [None]


def test_an_optimiser_runs_quickly_in_a_child(child):
    source = (
        "w = torch.nn.Parameter(torch.ones(3))\n"
        "step = torch.optim.Adam([w], lr=0.1)\n"
        "for _ in range(3):\n"
        "    step.zero_grad(); (w ** 2).sum().backward(); step.step()\n"
        "w.sum().item()"
    )
    ran = child.run(source, "cell 2")
    assert ran.failed is None
    assert ran.cpu_s < 0.6


def test_too_large_a_tensor_is_a_failure_of_memory(child):
    ran = child.run("torch.zeros(1 << 40)", "cell 2")
    assert ran.failed.memory
    assert child.run("1", "cell 3").failed is None


def test_chance_repeats_for_torch_as_well(sandbox, child):
    source = "import torch\ntorch.rand(2).tolist()"
    first = child.run(source, "c").outputs[0]["data"]
    with Child(sandbox.address, limits=LIMITS, visible=True, seed=7) as other:
        assert other.run(source, "c").outputs[0]["data"] == first


@pytest.mark.slow
def test_compiling_says_that_it_cannot_rather_than_hang(child):
    source = "torch.compile(lambda x: x + 1)(torch.ones(2))"
    ran = child.run(source, "cell 2", Limits(cpu_s=30, wall_s=60))
    assert ran.failed is None or ran.failed.line == 1


def test_torch_is_there_at_once_and_learns_in_a_forked_child(sandbox, child):
    ran = child.run(
        "x = torch.randn(96, 96, requires_grad=True)\n"
        "optimiser = torch.optim.Adam([x])\n"
        "(x @ x.T / 96).softmax(-1).square().sum().backward()\n"
        "before = x.detach().clone()\n"
        "optimiser.step()\n"
        "moved = bool((x != before).all())",
        "cell 2",
    )
    assert ran.failed is None, ran.failed
    assert child.fetch("moved") is True
    # It would be a second or two for the import alone.
    assert child.usage().cpu_s < 0.5


def test_the_server_that_holds_torch_has_one_thread(sandbox):
    # A thread that is not there after the fork would be waited for.
    counts = [threads(pid) for pid in {sandbox._process.pid} | children()]
    assert [each for each in counts if each is not None]
    assert set(counts) <= {1, None}


def threads(pid):
    """Return how many threads a sandbox's server has; None for others."""
    try:
        if b"inside" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return None
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return None
