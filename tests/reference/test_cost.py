"""The cost model against operations, bytes and tensors that were counted."""

import itertools
import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attncourse.bench.memory import extra_bytes
from attncourse.fast import heads as fast_heads
from attncourse.fast import layers, tiled, tiled_passes
from attncourse.fast.dense import attention as fast_attention
from attncourse.reference import blocks, dense, heads, norms, softmax
from attncourse.reference import feedforward as feedforward_module
from attncourse.reference.cost import (
    AttentionSizes,
    Cost,
    Device,
    LayerSizes,
    Roofline,
    attention_flops,
    attention_layer_flops,
    band_pairs,
    block_pairs,
    cache_bytes,
    cached_tokens,
    causal_pairs,
    chunked_linear_attention_flops,
    decode_cost,
    decoder_layer_flops,
    encoder_layer_cost,
    encoder_layer_flops,
    feed_forward_flops,
    flash_attention_cost,
    flash_tiles,
    flop_count,
    intensity,
    language_model_flops,
    layer_norm_operations,
    layer_weight_count,
    linear_attention_flops,
    naive_attention_cost,
    naive_saved_bytes,
    parameter_count,
    prefill_cost,
    product_cost,
    ridge_point,
    roofline,
    score_count,
    softmax_operations,
    strip_attention_cost,
    strip_pairs,
    tiled_saved_bytes,
    tiled_training_flops,
    total_cost,
    training_flops,
    training_state_bytes,
    window_pairs,
)
from attncourse.reference.masks import causal_mask

SIZES = AttentionSizes(queries=7, keys=11, heads=3, dim=5, value_dim=2)
LAYER = LayerSizes(width=14, heads=2, dim=7, hidden=13)
SHARED = LayerSizes(width=11, heads=6, dim=5, hidden=13, groups=2)


# ---------------------------------------------------------------- counters


class TorchProducts(TorchDispatchMode):
    """Counts the FLOPs and bytes of every product that torch executes."""

    def __init__(self):
        super().__init__()
        self.flops = self.moved = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__.rstrip("_")
        if name in ("mm", "addmm", "bmm", "baddbmm"):
            a, b = args[1:3] if "add" in name else args[:2]
            self.flops += 2 * a.numel() * b.shape[-1]
            self.moved += a.nbytes + b.nbytes + result.nbytes
        if name == "_softmax":
            self.moved += args[0].nbytes + result.nbytes
        return result


def counted_by_torch(run):
    with TorchProducts() as counter:
        run()
    return Cost(counter.flops, counter.moved)


def flops_by_torch(run):
    """Return what torch's own counter makes of it."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


ARITHMETIC = {
    *("add", "subtract", "multiply", "divide", "exp", "sqrt", "maximum"),
}


class Counted(np.ndarray):
    """An array that counts what is done with it and with what comes of it."""

    products = operations = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [np.asarray(x) for x in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(
                x if x is None else np.asarray(x) for x in kwargs["out"]
            )
        result = getattr(ufunc, method)(*plain, **kwargs)
        if ufunc is np.matmul:
            Counted.products += 2 * plain[0].shape[-1] * result.size
        elif ufunc.__name__ in ARITHMETIC:
            spent = result.size
            if method == "reduce":  # n numbers take n - 1 operations
                spent = plain[0].size - result.size
            Counted.operations += spent
        return np.asarray(result).view(Counted)

    def __array_function__(self, function, types, args, kwargs):
        if function is np.einsum:
            spec, a, b = args
            left, _, out = spec.replace("->", ",").split(",")
            (summed,) = set(left) - set(out)
            length = a.shape[left.index(summed) - len(left)]
            result = np.einsum(spec, np.asarray(a), np.asarray(b))
            Counted.products += 2 * length * result.size
            return result.view(Counted)
        return super().__array_function__(function, types, args, kwargs)


@pytest.fixture
def numpy_counts(monkeypatch):
    """Let the reference compute on arrays that count; return a reader."""
    for name, module in list(sys.modules.items()):
        if name.startswith("attncourse.reference.") and hasattr(
            module, "real"
        ):
            plain = module.real
            monkeypatch.setattr(
                module,
                "real",
                lambda *args, plain=plain: plain(*args).view(Counted),
            )

    def read(run):
        Counted.products = Counted.operations = 0
        run()
        return Counted.products, Counted.operations

    return read


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def arrays(sizes, **options):
    return (
        draw(sizes.heads, sizes.queries, sizes.dim, **options),
        draw(sizes.heads, sizes.keys, sizes.dim, **options),
        draw(sizes.heads, sizes.keys, sizes.columns, **options),
    )


def plain_attention(q, k, v):
    return torch.softmax(q @ k.mT, dim=-1) @ v


# --------------------------------------------------------- pairs and FLOPs

LENGTHS = st.integers(0, 13)
SIDES = st.one_of(st.none(), st.integers(0, 14))


@given(LENGTHS, LENGTHS, SIDES, SIDES)
@settings(max_examples=200, deadline=None)
def test_pairs_of_a_band_are_those_of_its_mask(queries, keys, behind, ahead):
    pairs = 0
    for i, j in itertools.product(range(queries), range(keys)):
        place = i + keys - queries
        late = ahead is not None and j > place + ahead
        early = behind is not None and j < place - behind
        pairs += not (late or early)
    assert band_pairs(queries, keys, behind=behind, ahead=ahead) == pairs


@given(LENGTHS, LENGTHS, st.integers(1, 14))
@settings(max_examples=50, deadline=None)
def test_causal_and_window_pairs_are_those_of_their_masks(m, n, window):
    mask = causal_mask(m, n)
    assert causal_pairs(m, n) == mask.sum()
    near = mask & ~np.tril(np.ones((m, n), bool), n - m - window)
    assert window_pairs(m, n, window=window) == near.sum()
    assert window_pairs(m, n, window=max(n, 1)) == causal_pairs(m, n)


@given(LENGTHS, LENGTHS, st.integers(1, 5), SIDES, SIDES)
@settings(max_examples=200, deadline=None)
def test_strips_compute_every_key_that_one_of_their_rows_sees(
    m, n, rows, behind, ahead
):
    band = {"behind": behind, "ahead": ahead}
    blind = 0 if ahead is None else min(m, max(0, m - n - ahead))
    pairs = 0
    for top in range(blind, m, rows):
        strip = range(top, min(top + rows, m))
        seen = {
            j
            for i, j in itertools.product(strip, range(n))
            if ahead is None or j <= i + n - m + ahead
            if behind is None or j >= i + n - m - behind
        }
        pairs += len(strip) * len(seen)
    assert strip_pairs(m, n, rows=rows, **band) == pairs
    assert strip_pairs(m, n, rows=1, **band) == band_pairs(m, n, **band)


def test_block_pairs_are_the_ones_of_whole_tiles():
    kept = np.array([[True, False, False], [True, True, False]])
    mask = np.kron(kept, np.ones((3, 5), bool))
    assert block_pairs(kept.sum(), rows=3, columns=5) == mask.sum()


def test_flops_of_attention_are_those_that_torch_counts():
    run = counted_by_torch(lambda: plain_attention(*arrays(SIZES)))
    assert attention_flops(SIZES) == run.flops
    assert attention_flops(SIZES) == flops_by_torch(
        lambda: fast_attention(*arrays(SIZES))
    )
    assert attention_flops(SIZES, pairs=5) == 2 * 3 * 5 * (5 + 2)
    assert attention_flops(SIZES, pairs=0) == 0


def test_flops_of_attention_are_those_that_the_reference_spends(numpy_counts):
    q, k, v = (each.numpy() for each in arrays(SIZES))
    products, _ = numpy_counts(lambda: dense.attention(q, k, v))
    assert products == attention_flops(SIZES)


@pytest.mark.parametrize(
    ("function", "behind", "ahead"),
    [
        (tiled.attention, None, None),
        (tiled.causal_attention, None, 0),
        (lambda q, k, v: tiled.window_attention(q, k, v, window=7), 6, 0),
    ],
)
@pytest.mark.parametrize(("queries", "keys"), [(523, 523), (311, 701)])
def test_tiled_attention_computes_the_pairs_of_its_strips(
    function, behind, ahead, queries, keys
):
    sizes = AttentionSizes(queries, keys, heads=1, dim=3, value_dim=2)
    q, k, v = (each.requires_grad_() for each in arrays(sizes))
    pairs = strip_pairs(
        queries, keys, rows=tiled_passes.ROWS, behind=behind, ahead=ahead
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        forward = counted_by_torch(lambda: function(q, k, v))
        training = counted_by_torch(lambda: function(q, k, v).sum().backward())
    finally:
        torch.set_num_threads(before)
    assert forward.flops == attention_flops(sizes, pairs=pairs)
    assert training.flops == tiled_training_flops(sizes, pairs=pairs)
    assert pairs >= band_pairs(queries, keys, behind=behind, ahead=ahead)


# ---------------------------------------------------------- bytes, memory


def test_a_product_moves_both_operands_and_its_result():
    a, b = draw(3, 5, 7), draw(3, 7, 11)
    cost = product_cost(rows=5, inner=7, columns=11, number_bytes=4, batch=3)
    assert cost == counted_by_torch(lambda: torch.bmm(a, b))
    one = product_cost(rows=5, inner=7, columns=11, number_bytes=4)
    assert 3 * one == cost == total_cost([one, one, one])
    assert total_cost([]) == Cost(0, 0)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_naive_attention_moves_the_bytes_of_its_steps(kind):
    q, k, v = (each.to(kind) for each in arrays(SIZES))
    assert naive_attention_cost(
        SIZES, number_bytes=q.itemsize
    ) == counted_by_torch(lambda: plain_attention(q, k, v))
    assert naive_attention_cost(SIZES) == naive_attention_cost(
        SIZES, number_bytes=4
    )


class FarMemory:
    """Arrays of which only parts can be read or written, and counted."""

    def __init__(self, **arrays):
        self.arrays, self.numbers = arrays, 0

    def read(self, name, part):
        self.numbers += self.arrays[name][part].size
        return self.arrays[name][part].copy()

    def write(self, name, part, value):
        self.numbers += self.arrays[name][part].size
        self.arrays[name][part] = value


def parts(length, size):
    return [slice(at, at + size) for at in range(0, length, size)]


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (7, 11), (3, 4)])
def test_flash_attention_moves_what_its_algorithm_reads_and_writes(
    rows, columns
):
    q, k, v = (each[0].double().numpy() for each in arrays(SIZES))
    far = FarMemory(
        q=q,
        k=k,
        v=v,
        o=np.ones((7, 2)),
        l=np.ones(7),
        m=np.ones(7),
    )
    for name, start in (("o", 0.0), ("l", 0.0), ("m", -np.inf)):
        far.write(name, slice(None), start)
    for over in parts(11, columns):  # algorithm 1 of Dao et al. (2022)
        keys, values = far.read("k", over), far.read("v", over)
        for of in parts(7, rows):
            mine, o = far.read("q", of), far.read("o", of)
            total, highest = far.read("l", of), far.read("m", of)
            scores = mine @ keys.T / math.sqrt(5)
            higher = np.maximum(highest, scores.max(axis=1))
            p = np.exp(scores - higher[:, None])
            kept = total * np.exp(highest - higher)
            now = kept + p.sum(axis=1)
            far.write("o", of, (kept[:, None] * o + p @ values) / now[:, None])
            far.write("l", of, now)
            far.write("m", of, higher)
    np.testing.assert_allclose(far.arrays["o"], dense.attention(q, k, v))
    cost = flash_attention_cost(SIZES, columns=columns, number_bytes=8)
    assert cost.moved_bytes == 3 * 8 * far.numbers
    assert cost.flops == attention_flops(SIZES)
    assert flash_attention_cost(SIZES, columns=2) == flash_attention_cost(
        SIZES, columns=2, number_bytes=4
    )


@pytest.mark.parametrize("queries", [7, 13])
@pytest.mark.parametrize("rows", [1, 3, 16])
def test_strips_move_what_their_algorithm_reads_and_writes(queries, rows):
    sizes = AttentionSizes(queries, 11, heads=3, dim=5, value_dim=2)
    q, k, v = (each[0].double().numpy() for each in arrays(sizes))
    far = FarMemory(q=q, k=k, v=v, o=np.ones((queries, 2)), l=np.ones(queries))
    blind = max(0, queries - 11)
    far.write("o", slice(blind), 0.0)
    far.write("l", slice(blind), -np.inf)
    flops = 0
    for top in range(blind, queries, rows):
        of = slice(top, min(top + rows, queries))
        seen = slice(of.stop + 11 - queries)
        mine = far.read("q", of)
        keys, values = far.read("k", seen), far.read("v", seen)
        mask = causal_mask(queries, 11)[of, seen]
        far.write("o", of, dense.attention(mine, keys, values, mask=mask))
        far.write("l", of, 0.0)
        flops += 2 * len(mine) * len(keys) * (5 + 2)
    cost = strip_attention_cost(sizes, rows=rows, ahead=0, number_bytes=2)
    assert cost == 3 * Cost(flops, 2 * far.numbers)
    assert strip_attention_cost(sizes, rows=3) == strip_attention_cost(
        sizes, rows=3, behind=99, ahead=99, number_bytes=4
    )


def test_flash_tiles_fill_the_fast_memory():
    for on_chip, dim in itertools.product((999, 1000, 1001, 25_000), (1, 25)):
        rows, columns = flash_tiles(on_chip, dim=dim)
        assert columns == math.ceil(on_chip / (4 * dim))
        assert rows == min(columns, dim)


def test_flash_traffic_falls_with_the_fast_memory_as_its_theorem_says():
    sizes = AttentionSizes(queries=2**14, keys=2**14, heads=1, dim=64)
    moved = [
        flash_attention_cost(
            sizes, columns=flash_tiles(on_chip, dim=64)[1]
        ).moved_bytes
        for on_chip in (2**14, 2**15, 2**16)
    ]
    assert moved[0] / moved[1] == pytest.approx(2, rel=0.03)
    assert moved[1] / moved[2] == pytest.approx(2, rel=0.03)
    naive = naive_attention_cost(sizes).moved_bytes
    assert moved[2] < naive / 4
    # n^2 d^2 / M, times what the algorithm moves in each pass: about 4 x 3.
    assert moved[0] / 4 == pytest.approx(12 * 2**28 * 64**2 / 2**14, rel=0.05)


def saved_bytes(run):
    """Return the bytes of what autograd keeps, each storage once."""
    kept = {}

    def pack(x):
        storage = x.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        result = run()
    del result
    return sum(kept.values())


def test_what_is_saved_for_the_backward_pass_is_what_autograd_keeps():
    q, k, v = (each.requires_grad_() for each in arrays(SIZES))
    assert naive_saved_bytes(SIZES) == saved_bytes(
        lambda: plain_attention(q, k, v)
    )
    assert tiled_saved_bytes(SIZES) == saved_bytes(
        lambda: tiled.attention(q, k, v)
    )
    for function in (naive_saved_bytes, tiled_saved_bytes):
        assert 2 * function(SIZES) == function(SIZES, number_bytes=8)


def test_scores_stored_whole_take_the_memory_that_is_counted():
    sizes = AttentionSizes(queries=83, keys=89, heads=3, dim=5)
    q, k, v = arrays(sizes)
    scores = 4 * score_count(queries=83, keys=89, heads=3)
    # The scores and, until they are let go, their softmax.
    assert extra_bytes(lambda: plain_attention(q, k, v)) == 2 * scores
    tile = extra_bytes(lambda: tiled.attention(q, k, v))
    gathered = 4 * 3 * 83 * (5 + 1)
    assert gathered <= tile <= 2 * scores


# ------------------------------------------------------------------ linear


def test_linear_attention_costs_what_its_recurrence_does():
    tokens, features, columns = 7, 3, 5
    multiply_adds = 0
    for _ in range(tokens):
        for _, _ in itertools.product(range(features), range(columns)):
            multiply_adds += 1  # state[f, c] += key[f] * value[c]
            multiply_adds += 1  # output[c] += query[f] * state[f, c]
        for _ in range(features):
            multiply_adds += 1  # norm += query[f] * sum_of_keys[f]
    assert (
        linear_attention_flops(tokens=7, heads=2, features=3, value_dim=5)
        == 2 * 2 * multiply_adds
    )


@pytest.mark.parametrize(("tokens", "chunk"), [(12, 4), (13, 4), (3, 4)])
def test_chunked_linear_attention_costs_what_torch_counts(tokens, chunk):
    q, k, v = draw(2, tokens, 3), draw(2, tokens, 3), draw(2, tokens, 5)

    def run():
        state, keys = torch.zeros(2, 3, 5), torch.zeros(2, 3, 1)
        for at in range(0, tokens, chunk):
            mine, other, values = (x[:, at : at + chunk] for x in (q, k, v))
            scores = (mine @ other.mT).tril()
            read = scores @ values + mine @ state
            total = scores.sum(-1, keepdim=True) + mine @ keys
            state = state + other.mT @ values
            keys = keys + other.sum(1)[..., None]
            read / total

    assert chunked_linear_attention_flops(
        tokens=tokens, chunk=chunk, heads=2, features=3, value_dim=5
    ) == flops_by_torch(run)


def test_softmax_and_norm_operations_are_those_of_the_reference(numpy_counts):
    x = draw(7, 11).numpy()
    _, operations = numpy_counts(lambda: softmax.softmax(x))
    assert operations == softmax_operations(rows=7, columns=11)
    _, operations = numpy_counts(
        lambda: norms.layer_norm(x, np.ones(11), np.ones(11))
    )
    assert operations == layer_norm_operations(tokens=7, width=11)


# ------------------------------------------------------------------ layers


def draw_projections(sizes):
    own, shared = sizes.heads * sizes.dim, sizes.shared * sizes.dim
    return [
        draw(sizes.width, own),
        draw(sizes.width, shared),
        draw(sizes.width, shared),
        draw(own, sizes.width),
    ]


def test_grouped_attention_costs_what_torch_counts():
    x, context = draw(5, 11), draw(7, 11)
    p = fast_heads.Projections(*draw_projections(SHARED))
    counted = attention_layer_flops(SHARED, queries=5, keys=7)
    assert sum(counted.values()) == flops_by_torch(
        lambda: fast_heads.grouped_query_attention(
            x, context, p, heads=6, groups=2
        )
    )
    assert counted == flop_count(
        queries=5, keys=7, width=11, heads=6, dim=5, groups=2
    )


def test_grouped_attention_costs_what_the_reference_spends(numpy_counts):
    x, context = draw(5, 11).numpy(), draw(7, 11).numpy()
    matrices = (each.numpy() for each in draw_projections(SHARED))
    p = heads.Projections(*matrices)
    products, _ = numpy_counts(
        lambda: heads.grouped_query_attention(x, context, p, heads=6, groups=2)
    )
    counted = attention_layer_flops(SHARED, queries=5, keys=7)
    assert products == sum(counted.values())


def test_a_step_with_a_cache_costs_what_torch_counts():
    """One token of each of three sequences, 17 cached, grouped heads."""
    weights, x = draw_projections(SHARED), draw(3, 1, 11)
    p = fast_heads.Projections(*weights)
    keys, values = draw(3, 2, 17, 5), draw(3, 2, 17, 5)
    feed = layers.FeedForward(11, hidden=13, bias=False)

    def run():
        q, k, v = fast_heads.project_heads(x, x, p, heads=6, groups=2)
        k, v = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
        read = fast_heads.grouped_attention(q, k, v)
        feed(fast_heads.project(fast_heads.merge_heads(read), p.w_output))

    cost = decode_cost(SHARED, layers=5, cached=17, batch=3, number_bytes=4)
    assert cost.flops == 5 * flops_by_torch(run)
    weights += feed.parameters()
    after = [torch.cat([x, x[:, :, :1]], dim=2) for x in (keys, values)]
    moved = sum(each.nbytes for each in [*weights, *after])
    assert cost.moved_bytes == 5 * moved
    one = decode_cost(SHARED, layers=1, cached=17)
    assert one == decode_cost(
        SHARED, layers=1, cached=17, batch=1, number_bytes=2
    )


def model(kind, sizes=LAYER, **options):
    return kind(sizes.width, sizes.heads, sizes.hidden, dropout=0.0, **options)


@pytest.mark.parametrize(
    "kind",
    [layers.EncoderLayer, layers.PreNormEncoderLayer, layers.ParallelLayer],
)
def test_an_encoder_layer_costs_what_torch_counts(kind):
    layer, x = model(kind), draw(5, 14)
    forward = sum(encoder_layer_flops(LAYER, tokens=5).values())
    assert forward == flops_by_torch(lambda: layer(x))
    x = x.requires_grad_()
    assert training_flops(forward) == flops_by_torch(
        lambda: layer(x).sum().backward()
    )


def test_a_decoder_layer_costs_what_torch_counts():
    layer = model(layers.PreNormDecoderLayer)
    x, memory = draw(5, 14).requires_grad_(), draw(7, 14).requires_grad_()
    counted = decoder_layer_flops(LAYER, tokens=5, memory=7)
    forward = sum(counted.values())
    assert forward == flops_by_torch(lambda: layer(x, memory))
    assert training_flops(forward) == flops_by_torch(
        lambda: layer(x, memory).sum().backward()
    )
    assert counted["self-attention"] == flops_by_torch(
        lambda: layer.self_attention(x)
    )
    assert counted["cross-attention"] == flops_by_torch(
        lambda: layer.cross_attention(x, memory)
    )
    assert counted["feed forward"] == flops_by_torch(
        lambda: layer.feed_forward(x)
    )
    half = decoder_layer_flops(
        LAYER, tokens=5, memory=7, pairs=causal_pairs(5, 5)
    )
    assert half["cross-attention"] == counted["cross-attention"]
    saved = counted["self-attention"] - half["self-attention"]
    assert saved == 10 * 4 * 14


def test_layers_cost_what_the_reference_spends(numpy_counts):
    x, memory = draw(5, 14).numpy(), draw(7, 14).numpy()
    layer = blocks.new_encoder_layer(width=14, hidden=13, seed=1)
    products, _ = numpy_counts(lambda: blocks.encoder_layer(x, layer, heads=2))
    assert products == sum(encoder_layer_flops(LAYER, tokens=5).values())
    layer = blocks.new_decoder_layer(width=14, hidden=13, seed=1)
    products, _ = numpy_counts(
        lambda: blocks.decoder_layer(x, memory, layer, heads=2)
    )
    counted = decoder_layer_flops(LAYER, tokens=5, memory=7)
    assert products == sum(counted.values())


def test_a_gated_network_has_three_matrices(numpy_counts):
    sizes = LayerSizes(width=14, heads=2, dim=7, hidden=13, feed_matrices=3)
    layer = layers.GatedFeedForward(14, hidden=13)
    counted = feed_forward_flops(sizes, tokens=5)
    assert counted == flops_by_torch(lambda: layer(draw(5, 14)))
    weights = (
        each.weight.detach().T
        for each in layer.children()
        if hasattr(each, "weight")
    )
    gated = feedforward_module.GatedWeights(*(w.numpy() for w in weights))
    products, _ = numpy_counts(
        lambda: feedforward_module.gated_feed_forward(
            draw(5, 14).numpy(), gated
        )
    )
    assert products == counted
    matrices = sum(each.numel() for each in layer.parameters())
    assert layer_weight_count(sizes) == matrices + 4 * 14**2


def test_a_language_model_costs_what_torch_counts():
    stack = layers.DecoderOnly(
        [model(layers.PreNormEncoderLayer) for _ in range(3)]
    )
    logits = torch.nn.Linear(14, 17)
    assert language_model_flops(
        LAYER, layers=3, tokens=5, vocabulary=17
    ) == flops_by_torch(lambda: logits(stack(draw(5, 14))))
    causal = language_model_flops(
        LAYER, layers=3, tokens=5, vocabulary=17, pairs=15
    )
    dense_ = language_model_flops(LAYER, layers=3, tokens=5, vocabulary=17)
    assert dense_ - causal == 3 * 10 * 4 * 14


@pytest.mark.parametrize("matrices", [2, 3])
def test_a_layer_moves_the_bytes_of_its_products(matrices):
    sizes = LayerSizes(14, 2, 7, 13, feed_matrices=matrices)
    layer = model(layers.EncoderLayer)
    if matrices == 3:
        layer.feed_forward = layers.GatedFeedForward(14, hidden=13)
    counted = counted_by_torch(lambda: layer(draw(5, 14)))
    attention = naive_attention_cost(AttentionSizes(5, 5, heads=2, dim=7))
    cost = encoder_layer_cost(sizes, attention, tokens=5)
    assert cost == counted


def test_shared_keys_make_the_projections_of_a_layer_smaller():
    p, x = draw_projections(SHARED), draw(7, 11)
    w_in, w_out = draw(11, 13), draw(13, 11)

    def run():
        for matrix in p[:3]:
            x @ matrix
        draw(7, 30) @ p[3]
        (x @ w_in) @ w_out

    cost = encoder_layer_cost(SHARED, Cost(0, 0), tokens=7, number_bytes=4)
    assert cost == counted_by_torch(run)
    matrices = [*p, w_in, w_out]
    assert layer_weight_count(SHARED) == sum(map(torch.numel, matrices))


def test_a_prompt_costs_causal_strips_and_shared_matrices():
    cost = prefill_cost(
        SHARED, layers=5, tokens=7, batch=3, rows=2, number_bytes=4
    )
    p, x = draw_projections(SHARED), draw(3 * 7, 11)
    w_in, w_out = draw(11, 13), draw(13, 11)

    def run():
        for matrix in p[:3]:
            x @ matrix
        draw(21, 30) @ p[3]
        (x @ w_in) @ w_out

    seen = [2, 4, 6, 7]  # keys of the strips of two, two, two, one
    numbers = 7 * (5 + 5 + 1) + sum(seen) * (5 + 5)
    pairs = 2 * 2 + 2 * 4 + 2 * 6 + 7
    strips = 3 * 6 * Cost(2 * pairs * 10, 4 * numbers)
    assert cost == 5 * (counted_by_torch(run) + strips)
    assert prefill_cost(SHARED, layers=1, tokens=300) == prefill_cost(
        SHARED, layers=1, tokens=300, batch=1, rows=128, number_bytes=2
    )


def test_a_token_costs_twice_the_weights_but_for_scores():
    tokens = encoder_layer_flops(SHARED, tokens=7, pairs=0)
    assert sum(tokens.values()) == 2 * layer_weight_count(SHARED) * 7


def test_training_state_is_what_adam_keeps():
    layer = model(layers.EncoderLayer)
    adam = torch.optim.Adam(layer.parameters())
    layer(draw(5, 14)).sum().backward()
    adam.step()
    kept = 0
    for parameter in layer.parameters():
        moments = adam.state[parameter]
        kept += parameter.nbytes + parameter.grad.nbytes
        kept += moments["exp_avg"].nbytes + moments["exp_avg_sq"].nbytes
    parameters = sum(p.numel() for p in layer.parameters())
    assert training_state_bytes(parameters) == kept
    assert training_state_bytes(parameters, number_bytes=2) == kept // 2


# ------------------------------------------------------------------- cache


def test_the_cache_holds_the_bytes_of_real_tensors():
    kept = [torch.zeros(2, 2, 17, 5, dtype=torch.float16) for _ in range(3)]
    assert cache_bytes(17, SHARED, layers=3) == sum(x.nbytes for x in kept)
    small = [torch.zeros(2, 2, 17, 5, dtype=torch.int8) for _ in range(3)]
    scales = [torch.zeros(2, 2, 17) for _ in range(3)]
    assert cache_bytes(
        17, SHARED, layers=3, number_bytes=1, scale_bytes=4
    ) == sum(x.nbytes for x in small + scales)
    assert cache_bytes(17, LAYER, layers=1) == 2 * 2 * 17 * 2 * 7


@given(
    st.integers(0, 40),
    st.one_of(st.none(), st.integers(1, 50)),
    st.integers(1, 9),
)
@settings(max_examples=200, deadline=None)
def test_pages_are_those_that_hold_a_token_in_the_window(tokens, window, page):
    oldest = 0 if window is None else max(0, tokens - window)
    pages = {token // page for token in range(oldest, tokens)}
    assert cached_tokens(tokens, window=window, page=page) == (
        page * len(pages)
    )


# ---------------------------------------------------------------- roofline


@given(
    st.integers(0, 10**6),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
)
@settings(max_examples=100, deadline=None)
def test_the_roof_is_the_lower_of_peak_and_bandwidth(flops, moved, peak, rate):
    cost, device = Cost(flops, moved), Device(peak, rate)
    found = roofline(cost, device)
    reached = min(peak, rate * intensity(cost))
    assert found.flops_per_second == pytest.approx(reached)
    assert found.seconds == pytest.approx(max(flops / peak, moved / rate))
    left_of_ridge = flops * rate < moved * peak
    assert found.bound == ("memory" if left_of_ridge else "compute")


def test_at_the_ridge_point_both_take_equally_long():
    device = Device(flops_per_second=60, bytes_per_second=20)
    assert ridge_point(device) == 3.0
    found = roofline(Cost(30, 10), device)
    assert found == Roofline(0.5, "compute", 60.0)
    assert intensity(Cost(30, 10)) == ridge_point(device)
    assert roofline(Cost(30, 0), device).bound == "compute"


def test_decoding_waits_for_memory_and_reading_a_prompt_does_not():
    sizes = LayerSizes(width=4096, heads=32, dim=128, hidden=11008)
    device = Device(flops_per_second=800e12, bytes_per_second=4e12)
    step = decode_cost(sizes, layers=32, cached=2048)
    prompt = prefill_cost(sizes, layers=32, tokens=2048)
    assert roofline(step, device).bound == "memory"
    assert roofline(prompt, device).bound == "compute"
    assert intensity(step) == 1.0  # two FLOPs for each number of two bytes
    many = decode_cost(sizes, layers=32, cached=2048, batch=64)
    assert intensity(many) > 5 * intensity(step)


# ------------------------------------------- what the documents had wrong


def test_cost_grows_with_the_square_of_the_length_not_exponentially():
    lengths = (1024, 2048, 4096)
    flops, saved, tiled_ = [], [], []
    for length in lengths:
        sizes = AttentionSizes(length, length, heads=8, dim=64)
        flops.append(attention_flops(sizes))
        saved.append(naive_saved_bytes(sizes))
        tiled_.append(tiled_saved_bytes(sizes))
    assert flops[1] == 4 * flops[0]
    assert flops[2] == 16 * flops[0]
    assert 3.5 < saved[2] / saved[1] < 4
    assert tiled_[2] == 2 * tiled_[1] == 4 * tiled_[0]


def test_a_layer_of_attention_adds_four_squares_of_the_width():
    assert parameter_count(width=64, heads=8, dim=8, bias=False) == 4 * 64**2


def test_many_heads_save_no_computation_and_need_more_scores():
    one, many = (
        LayerSizes(width=64, heads=h, dim=64 // h, hidden=256) for h in (1, 8)
    )
    assert encoder_layer_flops(one, tokens=9) == encoder_layer_flops(
        many, tokens=9
    )
    saved = [
        naive_saved_bytes(AttentionSizes(9, 9, each.heads, each.dim))
        for each in (one, many)
    ]
    assert saved[1] - saved[0] == 4 * 7 * 9 * 9


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Cost(-1, 0), "flops must be at least 0: got -1"),
        (lambda: Cost(0, -1), "moved_bytes must be at least 0: got -1"),
        (
            lambda: AttentionSizes(-1, 5, 1, 1),
            "queries must be at least 0: got -1",
        ),
        (lambda: AttentionSizes(5, 5, 0, 1), "heads must be at least 1"),
        (
            lambda: AttentionSizes(5, 5, 1, 1, 0),
            "value_dim must be at least 1: got 0",
        ),
        (lambda: LayerSizes(0, 1, 1, 1), "width must be at least 1: got 0"),
        (
            lambda: LayerSizes(1, 6, 1, 1, groups=4),
            "heads must be a multiple of groups: got heads=6, groups=4",
        ),
        (
            lambda: LayerSizes(1, 6, 1, 1, groups=0),
            "groups must be at least 1: got 0",
        ),
        (
            lambda: Device(0, 1),
            "flops_per_second must be above 0 and finite: got 0",
        ),
        (
            lambda: Device(1, math.inf),
            "bytes_per_second must be above 0 and finite: got inf",
        ),
        (lambda: intensity(Cost(1, 0)), "moved_bytes must be at least 1"),
        (
            lambda: roofline(Cost(0, 0), Device(1, 1)),
            "a cost must hold a FLOP or a byte: got none",
        ),
        (lambda: band_pairs(-1, 1), "queries must be at least 0: got -1"),
        (lambda: band_pairs(1, -1), "keys must be at least 0: got -1"),
        (
            lambda: band_pairs(1, 1, behind=-1),
            "behind must be at least 0: got -1",
        ),
        (
            lambda: band_pairs(1, 1, ahead=-1),
            "ahead must be at least 0: got -1",
        ),
        (
            lambda: window_pairs(1, 1, window=0),
            "window must be at least 1: got 0",
        ),
        (
            lambda: block_pairs(-1, rows=1, columns=1),
            "tiles must be at least 0: got -1",
        ),
        (
            lambda: block_pairs(1, rows=0, columns=1),
            "rows must be at least 1: got 0",
        ),
        (
            lambda: block_pairs(1, rows=1, columns=0),
            "columns must be at least 1: got 0",
        ),
        (
            lambda: strip_pairs(-1, 1, rows=1),
            "queries must be at least 0: got -1",
        ),
        (
            lambda: strip_pairs(1, -1, rows=1),
            "keys must be at least 0: got -1",
        ),
        (lambda: strip_pairs(1, 1, rows=0), "rows must be at least 1: got 0"),
        (
            lambda: strip_pairs(1, 1, rows=1, behind=-1),
            "behind must be at least 0: got -1",
        ),
        (
            lambda: strip_pairs(1, 1, rows=1, ahead=-1),
            "ahead must be at least 0: got -1",
        ),
        (
            lambda: attention_flops(SIZES, pairs=-1),
            "pairs must be at least 0: got -1",
        ),
        (
            lambda: attention_layer_flops(LAYER, queries=1, keys=1, cached=-1),
            "cached must be at least 0: got -1",
        ),
        (
            lambda: attention_layer_flops(LAYER, queries=-1, keys=1),
            "queries must be at least 0: got -1",
        ),
        (
            lambda: attention_layer_flops(LAYER, queries=1, keys=-1),
            "keys must be at least 0: got -1",
        ),
        (
            lambda: attention_layer_flops(LAYER, queries=1, keys=1, pairs=-1),
            "pairs must be at least 0: got -1",
        ),
        (
            lambda: feed_forward_flops(LAYER, tokens=-1),
            "tokens must be at least 0: got -1",
        ),
        (
            lambda: language_model_flops(
                LAYER, layers=0, tokens=1, vocabulary=1
            ),
            "layers must be at least 1: got 0",
        ),
        (
            lambda: language_model_flops(
                LAYER, layers=1, tokens=1, vocabulary=0
            ),
            "vocabulary must be at least 1: got 0",
        ),
        (
            lambda: training_flops(-1),
            "forward must be at least 0: got -1",
        ),
        (
            lambda: training_state_bytes(-1),
            "parameters must be at least 0: got -1",
        ),
        (
            lambda: cached_tokens(-1),
            "tokens must be at least 0: got -1",
        ),
        (
            lambda: cached_tokens(1, window=0),
            "window must be at least 1: got 0",
        ),
        (lambda: cached_tokens(1, page=0), "page must be at least 1: got 0"),
        (
            lambda: cache_bytes(1, LAYER, layers=0),
            "layers must be at least 1: got 0",
        ),
        (
            lambda: cache_bytes(1, LAYER, layers=1, scale_bytes=-1),
            "scale_bytes must be at least 0: got -1",
        ),
        (
            lambda: prefill_cost(LAYER, layers=1, tokens=-1),
            "tokens must be at least 0: got -1",
        ),
        (
            lambda: prefill_cost(LAYER, layers=0, tokens=1),
            "layers must be at least 1: got 0",
        ),
        (
            lambda: decode_cost(LAYER, layers=0, cached=1),
            "layers must be at least 1: got 0",
        ),
        (
            lambda: decode_cost(LAYER, layers=1, cached=1, batch=0),
            "batch must be at least 1: got 0",
        ),
        (
            lambda: flash_tiles(0, dim=1),
            "on_chip must be at least 1: got 0",
        ),
        (lambda: flash_tiles(9, dim=0), "dim must be at least 1: got 0"),
        (
            lambda: flash_attention_cost(SIZES, columns=0),
            "columns must be at least 1: got 0",
        ),
        (
            lambda: linear_attention_flops(
                tokens=-1, heads=1, features=1, value_dim=1
            ),
            "tokens must be at least 0: got -1",
        ),
        (
            lambda: softmax_operations(rows=-1, columns=1),
            "rows must be at least 0: got -1",
        ),
        (
            lambda: softmax_operations(rows=1, columns=0),
            "columns must be at least 1: got 0",
        ),
        (
            lambda: layer_norm_operations(tokens=-1, width=1),
            "tokens must be at least 0: got -1",
        ),
        (
            lambda: product_cost(rows=-1, inner=1, columns=1, number_bytes=1),
            "rows must be at least 0: got -1",
        ),
        (
            lambda: product_cost(rows=1, inner=1, columns=1, number_bytes=0),
            "number_bytes must be at least 1: got 0",
        ),
    ],
)
def test_sizes_that_cannot_be_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_empty_axes_cost_nothing():
    nothing = AttentionSizes(queries=0, keys=0, heads=1, dim=1)
    assert attention_flops(nothing) == 0
    assert naive_attention_cost(nothing) == Cost(0, 0)
    assert flash_attention_cost(nothing, columns=1) == Cost(0, 0)
    assert strip_attention_cost(nothing, rows=1) == Cost(0, 0)
    assert naive_saved_bytes(nothing) == tiled_saved_bytes(nothing) == 0
    layer = LayerSizes(width=1, heads=1, dim=1, hidden=1, feed_matrices=1)
    assert sum(encoder_layer_flops(layer, tokens=0).values()) == 0
    assert training_flops(0) == training_state_bytes(0) == 0
    assert cached_tokens(0) == 0
    assert decode_cost(layer, layers=1, cached=0, number_bytes=1) == Cost(
        8 + 4 + 2, 5 + 2
    )
    assert block_pairs(0, rows=1, columns=1) == 0
    assert linear_attention_flops(
        tokens=0, heads=1, features=1, value_dim=1
    ) == chunked_linear_attention_flops(
        tokens=0, chunk=1, heads=1, features=1, value_dim=1
    )
    assert softmax_operations(rows=0, columns=1) == 0
    assert layer_norm_operations(tokens=0, width=1) == 0
    none = {"rows": 0, "inner": 0, "columns": 0, "number_bytes": 1}
    assert product_cost(**none, batch=0) == Cost(0, 0)
    assert cache_bytes(0, layer, layers=1) == 0
    assert prefill_cost(layer, layers=1, tokens=0, number_bytes=1) == Cost(
        0, 5
    )


def test_counts_of_numpy_do_not_overflow():
    many = np.int32(70_000)
    sizes = AttentionSizes(many, many, np.int8(1), np.int8(100), np.int8(100))
    assert attention_flops(sizes) == 400 * 70_000**2
    layer = LayerSizes(many, np.int8(2), many, many, groups=np.int8(1))
    assert layer_weight_count(layer) == (4 + 2 + 2) * 70_000**2
    assert 2 * Cost(np.int64(2**62), np.int8(100)) == Cost(2**63, 200)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Cost(1, 2) + 3, "unsupported operand"),
        (lambda: 0.5 * Cost(2, 2), "times must be a whole number: got 0.5"),
        (
            lambda: Device("1", 1.0),
            "flops_per_second must be a real number: got '1'",
        ),
        (
            lambda: Device(1.0, True),
            "bytes_per_second must be a real number: got True",
        ),
    ],
)
def test_what_is_no_number_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()
    with pytest.raises(ValueError, match="times must be at least 0: got -1"):
        -1 * Cost(1, 2)
