"""Ring attention over processes against dense attention in one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attncourse.fast import dense, ring, ring_blocks
from attncourse.fast.masks import causal_mask
from attncourse.fast.ring_links import Exchange, agree, ring_of

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch without distributed"
)


@pytest.fixture(scope="module")
def ranks():
    """Return a function that has so many ranks perform a scenario.

    They are forked by a process of its own: pytest's may have threads.
    """
    if not hasattr(os, "fork"):
        pytest.skip("ranks are forked")
    # Without a name that resolves, a machine would make gloo wait for one.
    here = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("ring_ranks.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**here, **os.environ, "OMP_NUM_THREADS": "1"},
    )

    def perform(scenario, number, *, patience=200, **options):
        order = {
            "scenario": scenario,
            "ranks": number,
            "patience": patience,  # seconds
            "options": options,
        }
        server.stdin.write(json.dumps(order) + "\n")
        server.stdin.flush()
        line = server.stdout.readline()
        assert line, "the process that forks the ranks has died"
        verdicts = json.loads(line)
        assert len(verdicts) == number
        return verdicts

    yield perform
    server.stdin.close()
    server.stdout.close()
    server.wait(timeout=60)


def require_success(verdicts):
    assert [each for each in verdicts if "error" in each] == []


# --- agreement with dense attention ----------------------------------------


@pytest.mark.parametrize("deal", ["contiguous", "zigzag", "striped"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_every_number_of_ranks_gives_dense_attention(ranks, number, deal):
    require_success(ranks("agrees", number, deal=deal))


@pytest.mark.parametrize(("queries", "keys"), [(7, 19), (17, 5), (2, 3)])
def test_lengths_may_differ_and_need_not_divide(ranks, queries, keys):
    require_success(ranks("agrees", 3, queries=queries, keys=keys))


@pytest.mark.parametrize("deal", ["contiguous", "zigzag"])
def test_heads_may_share_keys(ranks, deal):
    require_success(ranks("agrees", 3, groups=2, deal=deal))


def test_strips_of_rows_leave_no_seam(ranks):
    require_success(ranks("agrees", 2, queries=29, keys=29, rows=4))
    require_success(ranks("agrees", 2, queries=23, keys=29, rows=3, groups=3))


def test_shares_of_any_length_will_do_without_a_mask(ranks):
    require_success(ranks("ragged", 4))


def test_a_rank_without_rows_takes_part_and_a_blind_row_is_zero(ranks):
    require_success(ranks("few", 4))


def test_deals_are_told_apart_by_what_they_do(ranks):
    require_success(ranks("nameless", 3))


def test_leading_axes_broadcast(ranks):
    require_success(ranks("broadcasts", 2))


@pytest.mark.parametrize("deal", ["contiguous", "zigzag", "striped"])
@pytest.mark.parametrize("poison", ["nan", "inf"])
def test_what_may_not_be_seen_has_no_influence(ranks, deal, poison):
    require_success(ranks("poisoned", 2, deal=deal, poison=poison))


def test_scores_of_ten_thousand_stay_exact(ranks):
    require_success(ranks("large", 2))


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_types_are_computed_in_single_precision(ranks, kind):
    require_success(ranks("halves", 3, kind=kind))


def test_arrays_need_not_be_contiguous_and_are_left_alone(ranks):
    require_success(ranks("strided", 2))


def test_some_of_the_processes_may_be_a_ring(ranks):
    require_success(ranks("subgroup", 3))


# --- what is saved ---------------------------------------------------------


def test_zigzag_gives_every_rank_the_same_to_do(ranks):
    # Sixteen positions, chunks of two: 136 pairs are seen.
    said = [each["said"] for each in ranks("skips", 4, deal="zigzag")]
    assert [each["scored"] for each in said] == [34] * 4
    said = [each["said"] for each in ranks("skips", 4, deal="contiguous")]
    assert [each["scored"] for each in said] == [10, 26, 42, 58]


def test_what_nobody_further_on_may_see_is_not_sent(ranks):
    verdicts = ranks("skips", 4, deal="contiguous")
    share = 2 * 6 * 4 * (5 + 3)
    # The keys of rank o go to the ranks after it, and end at the last.
    assert [each["said"]["sent"] for each in verdicts] == [
        [share, 0, 0],
        [share, share, 0],
        [share, share, share],
        [0, 0, 0],
    ]


# --- what goes wrong -------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("dim", "ValueError: ranks must agree in dim: got [5, 4, 5]"),
        ("dtype", "ValueError: ranks must agree in dtype: got "),
        ("heads", "ValueError: ranks must agree in heads: got [12, 8, 12]"),
        ("deal", "ValueError: ranks must agree in deal: got "),
        (
            "gradients",
            "ValueError: ranks must agree in whether gradients are wanted: "
            "got [0, 1, 0]",
        ),
        (
            "length",
            "ValueError: ranks must hold [3, 4, 4] of 11 tokens, as dealt: "
            "got [4, 3, 4]",
        ),
    ],
)
def test_ranks_that_do_not_agree_are_all_told(ranks, what, message):
    for verdict in ranks("mismatch", 3, what=what):
        assert verdict["said"].startswith(message), verdict


def test_a_rank_that_refuses_its_arguments_does_not_leave_others_waiting(
    ranks,
):
    said = [each["said"] for each in ranks("mismatch", 3, what="refused")]
    assert said[1].startswith("TypeError: k must be a floating-point tensor")
    told = (
        "ValueError: every rank must accept its arguments: "
        "got refusals on ranks [1]"
    )
    assert said[0] == said[2] == told


@pytest.mark.parametrize(
    ("how", "patience"),
    [
        ("at once", 200),
        ("between", 200),
        pytest.param("silent", 10, marks=pytest.mark.slow),
    ],
)
def test_a_rank_that_is_lost_ends_the_others_wait(ranks, how, patience):
    verdicts = ranks("lost", 3, patience=patience, how=how)
    assert verdicts[1] == {"error": "it ended"}
    for rank in (0, 2):
        assert verdicts[rank]["said"].startswith(
            "all 3 ranks must take part in every step: "
            f"rank {rank} waited in vain: "
        ), verdicts


def test_a_process_group_must_be_there(ranks):
    require_success(ranks("another_group", 1))
    x = torch.ones(2, 3)
    for call in (
        lambda: ring.attention(x, x, x),
        lambda: ring.shard(x, deal=ring.zigzag),
        lambda: ring.unshard(x, deal=ring.zigzag),
    ):
        with pytest.raises(
            RuntimeError,
            match="a process group must be there: got none; call "
            r"torch\.distributed\.init_process_group first",
        ):
            call()


# --- one rank, in this process ---------------------------------------------


@pytest.fixture
def one():
    with ring.alone():
        yield


def draw(seed, *shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def test_a_process_is_a_ring_of_one_until_it_is_told_otherwise():
    with ring.alone():
        q, v = draw(1, 3, 2), draw(2, 3, 5)
        got = ring.attention(q, q, v)
        assert torch.equal(ring.shard(v, deal=ring.striped), v)
        assert torch.equal(ring.unshard(v, deal=ring.striped), v)
    torch.testing.assert_close(got, dense.attention(q, q, v))
    with pytest.raises(RuntimeError, match="a process group must be there"):
        ring.attention(q, q, v)


@pytest.mark.usefixtures("one")
def test_gradients_are_those_of_finite_differences(monkeypatch):
    monkeypatch.setattr(ring_blocks, "ROWS", 2)
    q, k, v = (
        draw(n, 2, rows, dim).requires_grad_()
        for n, (rows, dim) in enumerate([(3, 2), (5, 2), (5, 3)])
    )
    assert torch.autograd.gradcheck(ring.attention, (q, k, v))
    assert torch.autograd.gradcheck(
        lambda *x: ring.causal_attention(*x, deal=ring.zigzag), (q, k, v)
    )
    wide = draw(4, 4, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *x: ring.causal_grouped_attention(*x, deal=ring.striped),
        (wide, k, v),
    )


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(
    ("queries", "keys", "value_dim"), [(0, 5, 3), (3, 0, 2), (3, 5, 0)]
)
def test_axes_of_length_zero_are_answered(queries, keys, value_dim):
    arrays = [
        draw(1, 2, queries, 7).requires_grad_(),
        draw(2, 2, keys, 7).requires_grad_(),
        draw(3, 2, keys, value_dim).requires_grad_(),
    ]
    for output in (
        ring.attention(*arrays),
        ring.causal_attention(*arrays, deal=ring.zigzag),
    ):
        assert output.shape == (2, queries, value_dim)
        assert not output.any()
        output.sum().backward()
    assert not any(x.grad.any() for x in arrays)


@pytest.mark.usefixtures("one")
def test_a_ring_of_one_is_causal_attention_in_single_precision():
    q, k, v = (draw(n, 3, 300, 11, dtype=torch.float32) for n in range(3))
    got = ring.causal_attention(q, k, v, deal=ring.contiguous)
    exact = dense.attention(
        q.double(), k.double(), v.double(), mask=causal_mask(300, 300)
    )
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), exact, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert torch.equal(
            got, ring.causal_attention(q, k, v, deal=ring.contiguous)
        )


@pytest.mark.usefixtures("one")
def test_there_is_no_second_derivative():
    x = draw(5, 3, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(
        ring.attention(x, x, x).sum(), x, create_graph=True
    )
    with pytest.raises(RuntimeError, match="does not require grad"):
        gradient.sum().backward()


@pytest.mark.usefixtures("one")
def test_nothing_is_sent_where_nothing_is():
    here = ring_of()
    exchange = Exchange(here, None, torch.empty(0))
    assert exchange.works == []
    assert exchange.wait().shape == (0,)
    assert Exchange(here, torch.empty(0), None).wait() is None
    assert agree(here, {"a": 3, "b": 5}) == {"a": [3], "b": [5]}


X = torch.ones(4, 6, 5)


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ring.attention(X, X[..., :4], X),
            ValueError,
            "q and k must agree in dim: got q=5, k=4",
        ),
        (
            lambda: ring.causal_attention(X, X, X[:, :3], deal=ring.zigzag),
            ValueError,
            "k and v must agree in keys: got k=6, v=3",
        ),
        (
            lambda: ring.attention(X, X.double(), X),
            TypeError,
            "q and k must agree in dtype and device: got torch.float32",
        ),
        (
            lambda: ring.attention([[1.0]], X, X),
            TypeError,
            "q must be a floating-point tensor: got list",
        ),
        (
            lambda: ring.grouped_attention(X, X[:3], X[:3]),
            ValueError,
            "heads must be a multiple of groups: got heads=4, groups=3",
        ),
        (
            lambda: ring.grouped_attention(X, X[:2], X[:1]),
            ValueError,
            "k and v must agree in groups: got k=2, v=1",
        ),
        (
            lambda: ring.grouped_attention(X, X[0], X[0]),
            ValueError,
            r"k must have axes \(..., heads, rows, dim\): got shape \(6, 5\)",
        ),
        (
            lambda: ring.causal_attention(
                X, X, X, deal=lambda n, ranks: [torch.arange(3).numpy()]
            ),
            ValueError,
            r"deal must give each of 6 positions to one of 1 ranks, "
            r"ascending: got shares of \[3\]",
        ),
        (
            lambda: ring.shard(
                X, deal=lambda n, ranks: [torch.arange(n).flip(0).numpy()]
            ),
            ValueError,
            "deal must give each of 6 positions to one of 1 ranks, ascending",
        ),
        (
            lambda: ring.shard(
                X,
                deal=lambda n, ranks: [
                    torch.arange(n).numpy(),
                    torch.arange(0).numpy(),
                ],
            ),
            ValueError,
            r"one of 1 ranks, ascending: got shares of \[6, 0\]",
        ),
        (
            lambda: ring.causal_attention(X, X, X, deal=None),
            TypeError,
            "deal must be a function of length and ranks: got None",
        ),
        (
            lambda: ring.causal_grouped_attention(X, X, X, deal="zigzag"),
            TypeError,
            "deal must be a function of length and ranks: got 'zigzag'",
        ),
        (
            lambda: ring.unshard(X, deal=None),
            TypeError,
            "deal must be a function of length and ranks: got None",
        ),
        (
            lambda: ring.shard([[1.0]], deal=ring.zigzag),
            TypeError,
            "x must be a floating-point tensor: got list",
        ),
        (
            lambda: ring.shard(X[0, 0], deal=ring.zigzag),
            ValueError,
            r"x must have axes \(..., tokens, dim\): got shape \(5,\)",
        ),
        (
            lambda: ring.unshard(X.int(), deal=ring.zigzag),
            TypeError,
            "x must be a floating-point tensor: got torch.int32",
        ),
        (
            lambda: ring.attention(*3 * [X.to(torch.float8_e5m2)]),
            TypeError,
            "tensors must have 16, 32 or 64 bits a number: "
            "got torch.float8_e5m2",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
