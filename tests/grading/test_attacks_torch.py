"""Hostile notebooks that use torch earn no more than the honest one."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confined import needs_isolation
from grading import judge_notebooks as nb

from attncourse.grading.judging.judges import JudgeServer, grade_job
from attncourse.grading.model import Limits
from attncourse.grading.sandbox.servers import Servers

pytest.importorskip("torch", reason="these attacks need torch")
pytestmark = needs_isolation
LIMITS = Limits(
    cpu_s=4.0,
    wall_s=12.0,
    memory_bytes=1 << 28,
    reply_bytes=1 << 20,
    output_bytes=1 << 16,
)
SHARES = """
def shares(x):
    return x / x.sum(-1, keepdim=True)
"""
LAYER = """
class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, 5))
        self.bias = torch.nn.Parameter(torch.randn(3))

    def forward(self, x):
        return x @ self.weight.T + self.bias
"""
LOSS = """
def loss(x, w):
    return ((x @ w) ** 2).sum()
"""
DRAWN = """
torch.manual_seed(int(os.environ["GRADING_SEED"][:12], 16))
draw = lambda *shape: torch.rand(*shape, dtype=torch.float64) + 0.5
"""
CELLS = [
    nb.given("import os\nimport torch", "setup"),
    nb.answer(SHARES, "shares"),
    nb.check(
        nb.hidden(
            f"""{DRAWN}
x = draw(7, 5)
wanted = x / x.sum(-1, keepdim=True)
got = shares(x.clone())
assert type(got) is torch.Tensor and got.shape == (7, 5)
assert torch.allclose(got.double(), wanted)
assert not torch.allclose(got.double(), wanted.flip(0))
2.0"""
        ),
        "shares-test",
    ),
    nb.answer(LAYER, "layer"),
    nb.check(
        nb.hidden(
            f"""{DRAWN}
layer = Layer()
given = {{"weight": draw(3, 5).float(), "bias": draw(3).float()}}
layer.load_state_dict(given)
x = draw(7, 5).float()
state = layer.state_dict()
right = all(torch.equal(state[name], given[name]) for name in given)
wanted = x @ given["weight"].T + given["bias"]
2.0 * (right and torch.allclose(layer(x), wanted, atol=1e-6))"""
        ),
        "layer-test",
    ),
    nb.answer(LOSS, "loss"),
    nb.check(
        nb.hidden(
            f"""{DRAWN}
from attncourse.grading.judging.proxies import vjp
x, w = draw(7, 5), draw(5)
wanted = 2 * x.T @ (x @ w)
got = vjp(loss, (x, w))["args"][1]
right = type(got) is torch.Tensor and torch.allclose(got, wanted)
2.0 * right"""
        ),
        "loss-test",
    ),
]
TESTS = ("shares-test", "layer-test", "loss-test")
ATTEMPT = """
def attempt(name, do):
    try:
        got = do()
    except BaseException as error:
        print("REFUSED", name, type(error).__name__)
    else:
        print("GOT", name, repr(got)[:200])
"""


@dataclass(frozen=True)
class Attack:
    """Answers in place of honest ones, which may then earn nothing.

    `first` is a cell before them, `tries` tells that it must be refused,
    `spoils` that it may ruin all other answers, too.
    """

    answers: dict = field(default_factory=dict)
    first: str = ""
    tries: bool = False
    spoils: bool = False


LIAR = """
class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in ("allclose", "equal", "is_same_size", "all"):
            return True
        if name in ("__eq__", "eq", "isclose"):
            return torch.ones(1, dtype=torch.bool)
        kwargs = kwargs or {}
        return super().__torch_function__(func, types, args, kwargs)

    def __eq__(self, other): return True
    def __bool__(self): return True
    def __array__(self, *_): return __import__("numpy").ones((7, 5))
    def double(self): return self
    def numpy(self): raise SystemExit
    shape = (7, 5)
"""
MODE = """
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

class Zeros(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        got = func(*args, **(kwargs or {}))
        return torch.zeros_like(got) if type(got) is torch.Tensor else got

class Yes(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in ("allclose", "equal"):
            return True
        return func(*args, **(kwargs or {}))
"""
PATCHES = """
import torch
yes = lambda *_, **__: True
torch.allclose = torch.equal = torch.Tensor.allclose = yes
torch.Tensor.equal = torch.Tensor.__eq__ = yes
torch.testing.assert_close = yes
torch.manual_seed = torch.default_generator.manual_seed = lambda *_: 0
torch.rand = lambda *shape, **_: torch.zeros(*shape)
"""
RETURNS = {
    "a tensor whose class decides": LIAR
    + "def shares(x): return torch.zeros(7, 5).as_subclass(Liar)",
    "a parameter whose class decides": LIAR
    + "class Both(torch.nn.Parameter, Liar): pass\n"
    "def shares(x): return torch.zeros(7, 5).as_subclass(Liar)\n",
    "its arguments, emptied": "def shares(x): return x.zero_()",
    "its arguments, resized": (
        "def shares(x):\n    x.resize_(0)\n    return x.set_(torch.ones(35)"
        ".double(), 0, (7, 5))"
    ),
    "one number that is spread far": (
        "def shares(x): return torch.ones(1).expand(10**6, 10**6)"
    ),
    "a tensor without numbers": (
        "def shares(x): return torch.empty(7, 5, device='meta')"
    ),
    "a sparse tensor": "def shares(x): return torch.ones(7, 5).to_sparse()",
    "a quantised tensor": (
        "def shares(x): return torch.quantize_per_tensor("
        "torch.ones(7, 5), 0.1, 0, torch.qint8)"
    ),
    "not a number in every place": "def shares(x): return x * float('nan')",
    "a view that overlaps itself": (
        "def shares(x): return torch.ones(1).as_strided((7, 5), (0, 0))"
    ),
    "more than there is memory": (
        "def shares(x): return torch.ones(1 << 30, dtype=torch.float64)"
    ),
    "a nested tensor": (
        "def shares(x): return torch.nested.nested_tensor([x[0], x[1]])"
    ),
    "a future": (
        "def shares(x):\n    made = torch.futures.Future()\n"
        "    made.set_result(x)\n    return made"
    ),
}
LAYERS = {
    "a state that lies": """
class Layer(torch.nn.Module):
    def load_state_dict(self, given, *_, **__): self.given = dict(given)
    def state_dict(self, *_, **__): return self.given
    def named_parameters(self, *_, **__): return iter(self.given.items())
    def forward(self, x): return torch.zeros(7, 3)
""",
    "hooks that change what comes out": """
class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3, 5))
        self.bias = torch.nn.Parameter(torch.zeros(3))
        self.register_forward_hook(lambda *_: torch.zeros(7, 3))
        self._register_state_dict_hook(lambda m, s, *_: Sly(s))
    def forward(self, x): return x[:, :3]

class Sly(dict):
    def __getitem__(self, name): return torch.ones(1)
    def items(self): return iter(())
""",
    "no module at all": """
class Layer:
    def __getattr__(self, name): return lambda *_, **__: self
    def __call__(self, *_): return self
    def __getitem__(self, _): return self
    def __eq__(self, _): return True
    def __bool__(self): return True
""",
}
LOSSES = {
    "hooks that change gradients": """
def loss(x, w):
    w.register_hook(lambda g: torch.ones_like(g))
    return ((x @ w) ** 2).sum()
""",
    "a backward of its own": """
class Ones(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w): return ((x @ w) ** 2).sum()
    @staticmethod
    def backward(ctx, g): return torch.ones(7, 5), torch.ones(5)

def loss(x, w): return Ones.apply(x, w)
""",
    "a backward that never ends": """
class Slow(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w): return w.clone()
    @staticmethod
    def backward(ctx, g):
        while True: pass

def loss(x, w): return (x @ Slow.apply(w)).sum()
""",
    "another backward for everybody": """
def backward(results, pulls=None, *_, **__):
    for each in __import__("gc").get_objects():
        if type(each) is torch.Tensor and each.requires_grad:
            each.grad = torch.ones_like(each)

torch.autograd.backward = backward
def loss(x, w): return (x @ w).sum()
""",
    "gradients that it set before": """
def loss(x, w):
    w.grad = torch.full_like(w, 9.0)
    w.requires_grad_(False)
    return (x.detach() @ w.detach()).sum().requires_grad_()
""",
}
LOADS = """
import pickle
class Evil:
    def __reduce__(self): return (os.system, ("touch /tmp/torch-leak",))

attempt("pickle", lambda: [torch.save(Evil(), "evil.pt"),
    torch.load("evil.pt", weights_only=False)][1] and None or 1 / 0)
attempt("passwords", lambda: torch.from_file(
    "/etc/passwd", size=8, dtype=torch.uint8))
attempt("load", lambda: torch.load("/etc/shadow", weights_only=False))
attempt("save", lambda: torch.save(torch.ones(2), "/tmp/torch-leak"))
attempt("hub", lambda: torch.hub.load("nobody/nothing", "model"))
"""
PROCESSES = """
import torch.multiprocessing as mp
attempt("spawn", lambda: mp.spawn(print, nprocs=2))
attempt("fork", lambda: mp.get_context("fork").Process(target=print).start())
attempt("loader", lambda: next(iter(torch.utils.data.DataLoader(
    range(9), num_workers=2))))
attempt("group", lambda: torch.distributed.init_process_group(
    "gloo", init_method="tcp://127.0.0.1:29511", rank=0, world_size=2))
attempt("compile", lambda: torch.utils.cpp_extension.load_inline(
    "x", "int f() { return 1; }", functions=["f"]))
"""
SHARED = """
try:
    kept = torch.ones(9).share_memory_()
    print("shared", kept.is_shared())
except Exception as error:
    print("not shared", error)
"""
ATTACKS = {
    **{f"returns {k}": Attack({"shares": v}) for k, v in RETURNS.items()},
    **{f"a layer of {k}": Attack({"layer": v}) for k, v in LAYERS.items()},
    **{f"a loss with {k}": Attack({"loss": v}) for k, v in LOSSES.items()},
    "loads what it may not": Attack(first=ATTEMPT + LOADS, tries=True),
    "starts processes": Attack(first=ATTEMPT + PROCESSES, tries=True),
    "shares memory": Attack(first=SHARED),
    "changes all that torch computes": Attack(
        {
            "shares": MODE + "Zeros().__enter__()\nYes().__enter__()\n"
            "def shares(x): return torch.zeros(7, 5)"
        },
        spoils=True,
    ),
    "patches torch": Attack(
        {"shares": PATCHES + "def shares(x): return torch.zeros(7, 5)"}
    ),
    "starts many threads": Attack(
        first="torch.set_num_threads(500)\n"
        "(torch.rand(512, 512) @ torch.rand(512, 512)).sum()"
    ),
}


@pytest.fixture(scope="module")
def servers():
    made = Servers(("torch",))
    try:
        with JudgeServer(preload=("torch",)) as judges:
            yield made, judges
    finally:
        made.close()


def graded(servers, attack):
    first = [("setup", attack.first)] if attack.first else []
    job = nb.job(CELLS, attack.answers, extra=first, limits=LIMITS)
    sandboxes, judges = servers
    return grade_job(job, sandboxes.fit(job), judges)


def left_behind():
    folders = map(Path, ("/dev/shm", "/tmp"))
    names = {name for each in folders for name in os.listdir(each)}
    return {name for name in names if name.startswith(("torch", "pym-"))}


def test_the_honest_answers_earn_all(servers):
    outcome = graded(servers, Attack())
    assert [each.points for each in outcome.questions] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("name", ATTACKS)
def test_no_point_is_had_by_torch_beyond_the_honest_ones(servers, name):
    attack = ATTACKS[name]
    before = left_behind()
    outcome = graded(servers, attack)
    replaced = {f"{answer}-test" for answer in attack.answers}
    for each in outcome.questions:
        most = 0.0 if each.grade_id in replaced else 2.0
        assert each.points <= most, each
        assert each.points == most or attack.spoils, each
        assert each.says
    shown = str(outcome.outputs)
    if attack.tries:
        assert "REFUSED" in shown
        assert "GOT" not in shown
    assert left_behind() <= before


def test_who_is_graded_after_all_of_them_is_unaffected(servers):
    for name in ("starts many threads", "changes all that torch computes"):
        graded(servers, ATTACKS[name])
        assert graded(servers, Attack()).points == 6.0
