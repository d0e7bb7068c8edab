"""Ranks for `test_ring.py`: a server that forks them, and what they do.

``python ring_ranks.py`` reads one JSON line per scenario, ``{"scenario":
name, "ranks": 3, "patience": 200, "options": {}}``, forks the ranks, and
writes one line with what each of them had to say. It never computes itself,
so that no thread is there when it forks; a rank that hangs is killed. The
patience is long, because a busy machine makes ranks late, not wrong.
"""

import datetime
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from functools import partial

import pytest
import torch
import torch._dynamo  # the first backward pass would load it, in each rank
import torch.distributed as dist

from attncourse.fast import dense, heads, ring, ring_blocks, ring_links
from attncourse.fast.masks import causal_mask

DEALS = {each.__name__: each for each in (ring.contiguous, ring.zigzag)}
DEALS["striped"] = ring.striped
SECONDS = 300  # before a rank is killed


def draw(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def close(got, expected, budget=1e-12):
    assert got.shape == expected.shape, (got.shape, expected.shape)
    assert torch.equal(got.isnan(), expected.isnan())
    if not expected.numel():
        return
    worst = (got - expected).nan_to_num().abs().max().item()
    scale = max(1.0, expected.nan_to_num().abs().max().item())
    assert worst <= budget * scale, f"{worst} > {budget} * {scale}"


def whole(queries, keys, *, batch=(2, 6), groups=None):
    """Return the same whole sequences on every rank."""
    shared = (*batch[:-1], groups or batch[-1])
    return (
        draw(1, *batch, queries, 5),
        draw(2, *shared, keys, 5),
        draw(3, *shared, keys, 3),
    )


def run_both(function, arrays, deal, /, **options):
    """Return output and gradients of `function` on shards, put together."""
    parts = [ring.shard(x, deal=deal).requires_grad_() for x in arrays]
    output = function(*parts, **options)
    whole_output = ring.unshard(output, deal=deal)
    upstream = draw(4, *whole_output.shape).to(output.dtype)
    output.backward(ring.shard(upstream, deal=deal))
    return upstream, [
        whole_output,
        *(ring.unshard(x.grad, deal=deal) for x in parts),
    ]


def truth(arrays, upstream, mask):
    leaves = [x.clone().requires_grad_() for x in arrays]
    reads = (
        dense.attention
        if arrays[0].shape[:-2] == arrays[1].shape[:-2]
        else heads.grouped_attention
    )
    output = reads(*leaves, mask=mask)
    output.backward(upstream)
    return [output.detach(), *(x.grad for x in leaves)]


def agrees(
    rank, ranks, *, queries=13, keys=13, deal="zigzag", groups=None, rows=256
):
    """All variants are dense attention, forwards and backwards."""
    ring_blocks.ROWS = rows
    arrays, dealt = whole(queries, keys, groups=groups), DEALS[deal]
    plain, causal = (
        (ring.attention, ring.causal_attention)
        if groups is None
        else (ring.grouped_attention, ring.causal_grouped_attention)
    )
    for function, options, mask in (
        (plain, {}, None),
        (causal, {"deal": dealt}, causal_mask(queries, keys)),
    ):
        upstream, got = run_both(function, arrays, dealt, **options)
        expected = truth(arrays, upstream, mask)
        for one, other in zip(got, expected, strict=True):
            close(one, other)


def ragged(rank, ranks):
    """Without a mask the shares may have any lengths, none among them."""
    lengths = [[3, 0, 5, 1][r] for r in range(ranks)]
    keys = [[0, 7, 2, 2][r] for r in range(ranks)]
    q, k, v = whole(sum(lengths), sum(keys))
    ends = [sum(lengths[: rank + 1]), sum(keys[: rank + 1])]
    mine = [
        x[..., end - n : end, :].clone().requires_grad_()
        for x, end, n in (
            (q, ends[0], lengths[rank]),
            (k, ends[1], keys[rank]),
            (v, ends[1], keys[rank]),
        )
    ]
    output = ring.attention(*mine)
    upstream = draw(4, 2, 6, sum(lengths), 3)
    expected, *gradients = truth((q, k, v), upstream, None)
    here = slice(ends[0] - lengths[rank], ends[0])
    there = slice(ends[1] - keys[rank], ends[1])
    if lengths[rank]:
        close(output, expected[..., here, :])
    output.backward(upstream[..., here, :])
    for x, gradient, at in zip(
        mine, gradients, (here, there, there), strict=True
    ):
        if x.numel():
            close(x.grad, gradient[..., at, :])


def few(rank, ranks):
    """Some ranks hold no queries or no keys, and some rows see nothing."""
    for name in DEALS:
        for queries, keys in ((2, 3), (3, 2), (9, 2), (0, 3)):
            agrees(rank, ranks, queries=queries, keys=keys, deal=name)
    arrays = whole(9, 2)
    for x in arrays[1:]:
        x.fill_(float("nan"))
    _, got = run_both(
        ring.causal_attention, arrays, ring.zigzag, deal=ring.zigzag
    )
    for x in got[:2]:
        assert not x[..., :7, :].any()
        assert x[..., 7:, :].isnan().all()


def nameless(rank, ranks):
    """A deal without a name of its own is as good as any."""
    q, k, v = whole(7, 7)
    deal = partial(ring.zigzag)
    parts = [ring.shard(x, deal=deal) for x in (q, k, v)]
    if rank == 1:  # the same deal by another name

        def deal(length, *, ranks):
            return ring.zigzag(length, ranks=ranks)

    got = ring.causal_attention(*parts, deal=deal)
    got = ring.unshard(got, deal=deal)
    close(got, dense.attention(q, k, v, mask=causal_mask(7, 7)))


def broadcasts(rank, ranks):
    """Leading axes broadcast, and their gradients are summed."""
    q = draw(1, 2, 1, 8, 5)
    k, v = draw(2, 3, 8, 5), draw(3, 8, 3)
    options = {"deal": ring.zigzag}
    upstream, got = run_both(
        ring.causal_attention, (q, k, v), ring.zigzag, **options
    )
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    output = dense.attention(*leaves, mask=causal_mask(8, 8))
    output.backward(upstream)
    for one, other in zip(
        got, [output.detach(), *(x.grad for x in leaves)], strict=True
    ):
        close(one, other)


def poisoned(rank, ranks, *, deal="zigzag", poison="nan"):
    """NaN in the future reaches neither outputs nor gradients before it."""
    arrays, dealt = whole(11, 11), DEALS[deal]
    options = {"deal": dealt}
    _, clean = run_both(ring.causal_attention, arrays, dealt, **options)
    spoiled = [x.clone() for x in arrays]
    for x in spoiled[1:]:
        x[..., 7, :] = float(poison)
    _, got = run_both(ring.causal_attention, spoiled, dealt, **options)
    for n in (0, 1):  # to the last bit
        assert torch.equal(got[n][..., :7, :], clean[n][..., :7, :])
    assert got[0][..., 7:, :].isnan().all()
    assert got[2][..., :7, :].isnan().all()  # later queries saw them
    # And a spoiled query spoils what it saw, not what comes after it.
    spoiled = [x.clone() for x in arrays]
    spoiled[0][..., 4, :] = float("nan")
    _, got = run_both(ring.causal_attention, spoiled, dealt, **options)
    for one, other in zip(got, clean, strict=True):
        assert torch.equal(one[..., 5:, :], other[..., 5:, :])
    assert got[2][..., :5, :].isnan().all()


def large(rank, ranks):
    """Scores of ten thousand are exact, far rows see nothing."""
    q, k, v = whole(9, 5)
    q = q * 1e4
    upstream, got = run_both(
        ring.causal_attention, (q, k, v), ring.zigzag, deal=ring.zigzag
    )
    expected = truth((q, k, v), upstream, causal_mask(9, 5))
    for one, other in zip(got, expected, strict=True):
        close(one, other, 1e-9)
    assert not got[0][..., :4, :].any()


def halves(rank, ranks, *, kind="bfloat16"):
    """Half types keep their dtype and lose less than one rounding."""
    dtype = getattr(torch, kind)
    arrays = [x.to(dtype) for x in whole(13, 13)]
    upstream, got = run_both(
        ring.causal_attention, arrays, ring.zigzag, deal=ring.zigzag
    )
    exact = truth(
        [x.double() for x in arrays], upstream.double(), causal_mask(13, 13)
    )
    step = torch.finfo(dtype).eps
    for one, other in zip(got, exact, strict=True):
        assert one.dtype == dtype
        close(one.double(), other, 2 * step)


def strided(rank, ranks):
    """Arrays need not be contiguous, and are left alone."""
    q, k, v = (x.mT.contiguous().mT for x in whole(8, 8))
    parts = [ring.shard(x, deal=ring.zigzag) for x in (q, k, v)]
    parts = [x.mT.contiguous().mT for x in parts]
    before = [x.clone() for x in parts]
    assert not parts[0].is_contiguous() or parts[0].shape[-2] < 2
    got = ring.unshard(ring.attention(*parts), deal=ring.zigzag)
    close(got, dense.attention(q, k, v))
    for one, other in zip(parts, before, strict=True):
        assert torch.equal(one, other)


def subgroup(rank, ranks):
    """Some of the processes may be a ring of their own, in any place."""
    members = list(range(1, ranks))
    group = dist.new_group(members)
    if rank == 0:
        with pytest.raises(ValueError, match="belong to the group: got anoth"):
            ring.attention(*whole(4, 4), group=group)
        return
    q, k, v = whole(7, 7)
    parts = [ring.shard(x, deal=ring.zigzag, group=group) for x in (q, k, v)]
    got = ring.causal_attention(*parts, deal=ring.zigzag, group=group)
    got = ring.unshard(got, deal=ring.zigzag, group=group)
    close(got, dense.attention(q, k, v, mask=causal_mask(7, 7)))


def skips(rank, ranks, *, deal="contiguous"):
    """Nobody scores or sends what nobody may see."""
    sent, scored = [], []
    exchange, read = ring_links.Exchange, ring_blocks.read_block

    class Watched(exchange):
        def __init__(self, ring, sent_, coming):
            sent.append(0 if sent_ is None else sent_.numel())
            super().__init__(ring, sent_, coming)

    def watched(q, k, v, seen, strip):
        late = 0 if strip.late is None else int(strip.late.sum())
        rows = strip.rows.stop - strip.rows.start
        scored.append(rows * strip.some - late)
        read(q, k, v, seen, strip)

    from attncourse.fast import ring_rounds

    ring_links.Exchange, ring_rounds.read_block = Watched, watched
    q, k, v = whole(16, 16)
    parts = [ring.shard(x, deal=DEALS[deal]) for x in (q, k, v)]
    ring.causal_attention(*parts, deal=DEALS[deal])
    return {"sent": sent, "scored": sum(scored)}


def another_group(rank, ranks):
    """Without a group of its own a process is told so."""
    dist.destroy_process_group()
    with pytest.raises(RuntimeError, match="group must be there: got none"):
        ring.attention(*whole(4, 4))


def mismatch(rank, ranks, *, what):
    """Return the error that each rank gets when they do not agree."""
    q, k, v = whole(4, 4)
    options = {"deal": ring.zigzag}
    odd = rank == 1
    if what == "dim":
        q, k = (x[..., : 4 if odd else 5] for x in (q, k))
    elif what == "dtype":
        q, k, v = (x.float() if odd else x for x in (q, k, v))
    elif what == "heads":
        q, k, v = (x[:, : 4 if odd else 6] for x in (q, k, v))
    elif what == "deal":
        options["deal"] = ring.contiguous if odd else ring.zigzag
    elif what == "gradients":
        q.requires_grad_(odd)
    elif what == "length":
        q, k, v = (x[..., : 3 if odd else 4, :] for x in (q, k, v))
        k, v = (x[..., :3, :] for x in (k, v))
    elif what == "refused":
        k = k.int() if odd else k
    try:
        ring.causal_attention(q, k, v, **options)
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def lost(rank, ranks, *, how):
    """Return what the others are told when rank 1 goes away."""
    q, k, v = (x.requires_grad_() for x in whole(4, 4))
    try:
        # Nobody leaves before all have come.
        ring_links.agree(ring_links.ring_of(), {"here": 1})
        if rank == 1 and how == "at once":
            os._exit(0)
        output = ring.attention(q, k, v)
        if rank == 1:
            time.sleep(15 if how == "silent" else 0)
            os._exit(0)
        output.sum().backward()
    except RuntimeError as error:
        return str(error)
    return "no error"


SCENARIOS = {
    each.__name__: each
    for each in (
        agrees,
        another_group,
        broadcasts,
        few,
        halves,
        large,
        lost,
        mismatch,
        nameless,
        poisoned,
        ragged,
        skips,
        strided,
        subgroup,
    )
}


def be_rank(rank, ranks, store, pipes, order):
    """Take part in a scenario and say what came of it.

    A rank that is done stays until all are, or its end would close
    connections through which another one still reads.
    """
    pipe, home = pipes
    signal.alarm(SECONDS)
    warnings.simplefilter("error")
    try:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{store}",
            rank=rank,
            world_size=ranks,
            timeout=datetime.timedelta(seconds=order["patience"]),
        )
        said = SCENARIOS[order["scenario"]](rank, ranks, **order["options"])
        verdict = {"said": said}
    except BaseException as error:
        verdict = {"error": f"{type(error).__name__}: {error}"}
    os.write(pipe, json.dumps(verdict).encode())
    os.close(pipe)
    if "said" in verdict:
        os.read(home, 1)  # ends when all have spoken
    os._exit(0)


def perform(order):
    """Fork the ranks of one scenario and return what each one says."""
    with tempfile.TemporaryDirectory() as folder:
        store, ranks, children = f"{folder}/store", order["ranks"], []
        home, open_home = os.pipe()
        for rank in range(ranks):
            back, pipe = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(open_home)
                be_rank(rank, ranks, store, (pipe, home), order)
            os.close(pipe)
            children.append((child, back))
        verdicts = []
        for _, back in children:
            with os.fdopen(back, "rb") as file:
                text = file.read()  # ends when the rank has spoken
            verdicts.append(json.loads(text or '{"error": "it ended"}'))
        os.close(open_home)
        os.close(home)
        for child, _ in children:
            os.waitpid(child, 0)
    return verdicts


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(perform(order)), flush=True)
    os._exit(0)  # tidying up after torch takes a second
