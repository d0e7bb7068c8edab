"""Torch gates, sentinels and spans: the reference, gradients, training."""

import copy

import numpy as np
import pytest
import torch

from attncourse.fast import adaptive as fast
from attncourse.fast import dense, tiled
from attncourse.fast.heads import Projections
from attncourse.fast.layers import MultiHeadAttention
from attncourse.fast.masks import causal_mask, padding_mask
from attncourse.reference import adaptive as reference


def draw(*shape, seed=0, **options):
    values = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(values, **options)


def sentinel_of(memory, hidden=(2, 5)):
    """Return a sentinel of a memory of this shape."""
    maps = {"w_input": torch.ones(3, 5), "w_hidden": torch.eye(5)}
    tensors = (torch.ones(shape) for shape in ((2, 3), hidden, memory))
    return fast.visual_sentinel(*tensors, **maps)


def leaves(*tensors):
    return tuple(tensor.detach().requires_grad_() for tensor in tensors)


# Gates: width 5, context width 7, two heads of dim 3 and value_dim 2

LAYER = Projections(
    *(
        draw(*shape, seed=seed)
        for seed, shape in enumerate(
            [(5, 6), (7, 6), (7, 4), (4, 11), (6,), (6,), (4,), (11,)]
        )
    )
)
X, CONTEXT = draw(2, 3, 5, seed=8), draw(2, 13, 7, seed=9)
GATES = [("gated_attention", 4), ("head_gated_attention", 2)]


@pytest.mark.parametrize("mask", [None, causal_mask(3, 13)])
@pytest.mark.parametrize(("name", "columns"), GATES)
def test_gates_agree_with_the_reference(name, columns, mask):
    gate = draw(5, columns, seed=10)
    got = getattr(fast, name)(X, CONTEXT, LAYER, gate, heads=2, mask=mask)
    expected = getattr(reference, name)(
        X, CONTEXT, LAYER, gate, heads=2, mask=mask
    )
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize(("name", "columns"), GATES)
def test_gates_pass_the_numerical_check(name, columns):
    def call(x, context, gate):
        return getattr(fast, name)(x, context, LAYER, gate, heads=2)

    arguments = leaves(X[0, :2], CONTEXT[0, :2], draw(5, columns))
    assert torch.autograd.gradcheck(call, arguments)


def test_the_reader_agrees_and_passes_the_numerical_check():
    document, question = draw(2, 3, 5), draw(2, 7, 5, seed=1)
    mask = padding_mask(torch.tensor([7, 0]), keys=7)
    for options in ({}, {"mask": mask}):
        np.testing.assert_allclose(
            fast.gated_reader(document, question, **options),
            reference.gated_reader(document, question, **options),
            atol=1e-12,
        )
    assert torch.autograd.gradcheck(
        lambda *a: fast.gated_reader(*a, mask=mask),
        leaves(document[:, :2], question),
    )


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (fast.GatedAttention, "gated_attention"),
        (fast.HeadGatedAttention, "head_gated_attention"),
    ],
)
def test_gated_modules_compute_the_function_and_keep_their_state(module, name):
    torch.manual_seed(0)
    layer = module(6, 2, context_width=7)
    torch.manual_seed(0)
    again = module(6, 2, context_width=7)
    for one, other in zip(layer.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    x, context = draw(2, 3, 6).float(), draw(2, 13, 7).float()
    mask = causal_mask(3, 13)
    got = layer(x, context, mask=mask)
    weights = layer.gate.weight.T
    function = getattr(fast, name)
    parts = layer.projections()
    expected = function(x, context, parts, weights, heads=2, mask=mask)
    assert torch.equal(got, expected)
    other = module(6, 2, context_width=7)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x, context, mask=mask), got)
    got.sum().backward()
    trained = [each for each in layer.parameters() if each.grad is not None]
    assert len(trained) == len(list(layer.parameters())) == 9
    assert module(6, 2)(x).shape == (2, 3, 6)


def test_a_gate_that_is_open_leaves_multi_head_attention():
    layer, x = fast.HeadGatedAttention(6, 2), draw(2, 3, 6).float().abs()
    plain = MultiHeadAttention(6, 2)
    state = layer.state_dict()
    state.pop("gate.weight")
    plain.load_state_dict(state)
    torch.nn.init.constant_(layer.gate.weight, 1e3)
    torch.testing.assert_close(layer(x), plain(x))
    torch.nn.init.constant_(layer.gate.weight, -1e3)
    expected = layer.output.bias.expand(2, 3, 6)
    torch.testing.assert_close(layer(x), expected)


# The sentinel


def sentinel_case(**options):
    return (
        draw(2, 5, 7, **options),
        draw(2, 7, 3, seed=1, **options),
        draw(2, 5, seed=2, **options),
        draw(2, 5, 3, seed=3, **options),
    )


@pytest.mark.parametrize("mask", [None, causal_mask(5, 7)])
def test_sentinels_agree_with_the_reference(mask):
    scores, v, last, sentinel = sentinel_case()
    got = fast.sentinel_attention(scores, v, last, sentinel, mask=mask)
    expected = reference.sentinel_attention(
        scores, v, last, sentinel, mask=mask
    )
    np.testing.assert_allclose(got, expected, atol=1e-13)
    pair = fast.sentinel_weights(scores[0], last, mask=mask)
    assert isinstance(pair, fast.SentinelWeights)
    expected = reference.sentinel_weights(scores[0], last, mask=mask)
    for one, other in zip(pair, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-14)


def test_a_sentinel_is_torchs_attention_with_one_more_key():
    q, k, v = draw(1, 5, 3), draw(1, 7, 3, seed=1), draw(1, 7, 2, seed=2)
    key, value = draw(1, 1, 3, seed=3), draw(1, 1, 2, seed=4)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        q, torch.cat([k, key], dim=1), torch.cat([v, value], dim=1)
    )
    scores, last = (q @ x.mT / 3**0.5 for x in (k, key))
    ours = fast.sentinel_attention(
        scores, v, last.squeeze(-1), value.expand(1, 5, 2)
    )
    torch.testing.assert_close(ours, theirs)


def test_sentinels_pass_the_numerical_check():
    mask = causal_mask(5, 7)
    mask[2] = False
    assert torch.autograd.gradcheck(
        lambda *a: fast.sentinel_attention(*a, mask=mask),
        leaves(*(x[0] for x in sentinel_case())),
    )


def test_what_is_hidden_reaches_no_gradient_of_a_sentinel():
    mask = padding_mask(torch.tensor([4, 0]), keys=7)
    results = []
    for poison in (0.0, torch.nan):
        scores, v, last, sentinel = sentinel_case()
        scores[0, :, 4:] = scores[1] = v[0, 4:] = v[1] = poison
        arguments = leaves(scores, v, last, sentinel)
        output = fast.sentinel_attention(*arguments, mask=mask)
        output.square().sum().backward()
        results.append([output, *(x.grad for x in arguments)])
    for clean, poisoned in zip(*results, strict=True):
        torch.testing.assert_close(poisoned, clean)
    assert torch.equal(results[0][0][1], sentinel[1])


def test_the_visual_sentinel_agrees():
    x, hidden, memory = draw(3, 5), draw(3, 7), draw(3, 7, seed=1)
    maps = {"w_input": draw(5, 7), "w_hidden": draw(7, 7, seed=1)}
    np.testing.assert_allclose(
        fast.visual_sentinel(x, hidden, memory, **maps),
        reference.visual_sentinel(x, hidden, memory, **maps),
        atol=1e-14,
    )


def test_the_sentinel_module_scores_by_addition():
    torch.manual_seed(0)
    layer = fast.SentinelAttention(5, context_width=3, hidden=11).double()
    x, context, sentinel = draw(2, 5, 5), draw(2, 7, 3), draw(2, 5, 3, seed=1)
    mask = padding_mask(torch.tensor([4, 0]), keys=7)
    got = layer(x, context, sentinel, mask=mask)
    asks, reads = layer.query.weight.T, layer.key.weight.T
    for i in range(5):
        rows = [context[0, j] @ reads for j in range(4)]
        rows.append(sentinel[0, i] @ layer.sentinel.weight.T)
        scores = torch.stack(
            [
                torch.tanh(x[0, i] @ asks + row) @ layer.score.weight[0]
                for row in rows
            ]
        )
        values = torch.cat([context[0, :4], sentinel[0, i : i + 1]])
        expected = torch.softmax(scores, dim=0) @ values
        torch.testing.assert_close(got[0, i], expected)
    torch.testing.assert_close(got[1], sentinel[1])
    other = fast.SentinelAttention(5, context_width=3, hidden=11).double()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x, context, sentinel, mask=mask), got)


def test_padding_reaches_no_gradient_of_the_sentinel_module():
    layer = fast.SentinelAttention(5, context_width=3, hidden=11).double()
    x, sentinel = draw(2, 5, 5), draw(2, 5, 3, seed=1)
    mask = padding_mask(torch.tensor([4, 0]), keys=7)
    gradients = []
    for poison in (0.0, torch.nan):
        context = draw(2, 7, 3)
        context[0, 4:] = context[1] = poison
        layer.zero_grad()
        layer(x, context, sentinel, mask=mask).square().sum().backward()
        gradients.append([each.grad.clone() for each in layer.parameters()])
    for clean, poisoned in zip(*gradients, strict=True):
        torch.testing.assert_close(poisoned, clean)


# Spans


SPANS = torch.tensor([0.0, 1.3, 100.0], dtype=torch.float64)


def triple(queries=5, keys=7, **options):
    """Return three heads of queries, keys and values, in a batch of two."""
    return (
        draw(2, 3, queries, 5, **options),
        draw(2, 3, keys, 5, seed=1, **options),
        draw(2, 3, keys, 11, seed=2, **options),
    )


@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (7, 5), (1, 7), (0, 3)])
@pytest.mark.parametrize("ramp", [1e-9, 1.0, 2.5])
def test_span_attention_agrees_with_the_reference(queries, keys, ramp):
    q, k, v = triple(queries, keys)
    np.testing.assert_allclose(
        fast.span_mask(queries, keys, span=SPANS, ramp=ramp),
        reference.span_mask(queries, keys, span=SPANS, ramp=ramp),
        atol=1e-15,
    )
    mask = torch.arange(keys)[None] != keys - 2
    for spans in (SPANS, 0.7, SPANS[:2, None].expand(2, 3)):
        for options in ({}, {"mask": mask}):
            got = fast.adaptive_span_attention(
                q, k, v, span=spans, ramp=ramp, **options
            )
            expected = reference.adaptive_span_attention(
                q, k, v, span=spans, ramp=ramp, **options
            )
            np.testing.assert_allclose(got, expected, atol=1e-12)


def test_a_whole_span_is_window_attention_and_a_long_one_causal():
    q, k, v = triple()
    torch.testing.assert_close(
        fast.adaptive_span_attention(q, k, v, span=2, ramp=1.0),
        tiled.window_attention(q, k, v, window=3),
    )
    torch.testing.assert_close(
        fast.adaptive_span_attention(q, k, v, span=7.0, ramp=32.0),
        tiled.causal_attention(q, k, v),
    )


def test_keys_beyond_the_longest_span_are_never_read():
    q, k, v = triple(queries=2)
    expected = fast.adaptive_span_attention(q, k, v, span=1.5, ramp=1.0)
    k[..., :3, :] = v[..., :3, :] = torch.nan  # 2 queries reach 3 + 1 keys
    arguments = leaves(q, k, v)
    mask = torch.ones(2, 7, dtype=torch.bool)
    for options in ({}, {"mask": mask}, {"mask": mask[:, :1]}):
        got = fast.adaptive_span_attention(
            *arguments, span=1.5, ramp=1.0, **options
        )
        torch.testing.assert_close(got, expected)
    got.sum().backward()
    for argument in arguments:
        assert torch.isfinite(argument.grad).all()
    counts = fast.keys_in_span(SPANS, ramp=2.5)
    assert counts.dtype is torch.int64
    assert counts.tolist() == [3, 4, 103]
    assert fast.keys_in_span(1, ramp=1e-300).item() == 2


def test_a_padded_key_reaches_no_gradient_of_a_span():
    mask = padding_mask(torch.tensor([4, 0]), keys=7)[:, None]
    results = []
    for poison in (0.0, torch.nan):
        q, k, v = triple(keys=7)
        k[0, :, 4:] = v[0, :, 4:] = k[1] = v[1] = poison
        arguments = leaves(q, k, v, SPANS)
        output = fast.adaptive_span_attention(
            *arguments[:3], span=arguments[3], ramp=2.5, mask=mask
        )
        output.square().sum().backward()
        results.append([output, *(x.grad for x in arguments)])
    for clean, poisoned in zip(*results, strict=True):
        torch.testing.assert_close(poisoned, clean)
        assert torch.isfinite(poisoned).all()


def test_span_attention_passes_the_numerical_check_span_included():
    q, k, v = (x[0, ..., :2] for x in triple(queries=3, keys=5))
    spans = torch.tensor([0.3, 1.6, 2.2], dtype=torch.float64)
    mask = torch.arange(5)[None] != 3
    assert torch.autograd.gradcheck(
        lambda q, k, v, span: fast.adaptive_span_attention(
            q, k, v, span=span, ramp=2.5, mask=mask
        ),
        leaves(q, k, v, spans),
    )


def test_the_gradient_in_the_span_is_that_of_the_keys_on_the_ramp():
    q, k, v = (x[0, 0] for x in triple())
    (span,) = leaves(torch.tensor(1.3, dtype=torch.float64))
    output = fast.adaptive_span_attention(q, k, v, span=span, ramp=2.5)
    output.sum().backward()
    soft = fast.span_mask(5, 7, span=1.3, ramp=2.5)
    parts = soft * (q @ k.mT / 5**0.5).exp()
    weights = parts / parts.sum(dim=-1, keepdim=True)
    # Every weight on the ramp grows by 1 / (R + z - x) of itself.
    on_ramp = (soft > 0) & (soft < 1)
    growth = torch.where(on_ramp, 1 / (2.5 * soft), 0.0)
    average = (weights * growth).sum(dim=-1, keepdim=True)
    expected = (weights * (growth - average)) @ v
    torch.testing.assert_close(span.grad, expected.sum())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_computed_in_single_precision(dtype):
    q, k, v = triple(dtype=dtype)
    got = fast.adaptive_span_attention(q, k, v, span=1.3, ramp=2.5)
    wide = fast.adaptive_span_attention(
        q.float(), k.float(), v.float(), span=1.3, ramp=2.5
    )
    assert got.dtype is dtype
    assert torch.equal(got, wide.to(dtype))


def test_span_attention_survives_the_edges():
    q, k, v = triple()
    got = fast.adaptive_span_attention(100 * q, 100 * k, v, span=1, ramp=3.0)
    assert torch.isfinite(got).all()
    blind = torch.zeros(1, 7, dtype=torch.bool)
    got = fast.adaptive_span_attention(q, k, v, span=1, ramp=3.0, mask=blind)
    assert not got.any()
    none = fast.adaptive_span_attention(
        q, k[..., :0, :], v[..., :0, :], span=1, ramp=1
    )
    assert torch.equal(none, torch.zeros(2, 3, 5, 11, dtype=torch.float64))
    few = fast.adaptive_span_attention(
        q, k[..., :3, :], v[..., :3, :], span=1, ramp=1
    )
    assert not few[..., :2, :].any()
    turned = [x.mT.contiguous().mT for x in (q, k, v)]
    kept = [x.clone() for x in turned]
    torch.testing.assert_close(
        fast.adaptive_span_attention(*turned, span=SPANS, ramp=2.5),
        fast.adaptive_span_attention(q, k, v, span=SPANS, ramp=2.5),
    )
    assert all(map(torch.equal, turned, kept))


def test_the_span_module_holds_fractions_and_keeps_its_state():
    layer = fast.AdaptiveSpan(3, longest=8, ramp=2.5, start=0.5).double()
    assert layer.spans().tolist() == [4.0, 4.0, 4.0]
    assert repr(layer) == "AdaptiveSpan(heads=3, longest=8, ramp=2.5)"
    q, k, v = triple()
    torch.testing.assert_close(
        layer(q, k, v),
        fast.adaptive_span_attention(q, k, v, span=4.0, ramp=2.5),
    )
    layer.fraction.data = torch.tensor([-0.5, 0.25, 3.0]).double()
    assert layer.spans().tolist() == [0.0, 2.0, 8.0]
    layer.clamp_()
    assert layer.fraction.tolist() == [0.0, 0.25, 1.0]
    assert layer.penalty(0.6).item() == pytest.approx(2.0)
    layer.penalty(0.6).backward()
    assert layer.fraction.grad.tolist() == pytest.approx([1.6] * 3)
    other = fast.AdaptiveSpan(3, longest=8, ramp=2.5).double()
    other.load_state_dict(layer.state_dict())
    mask = padding_mask(torch.tensor([4, 7]), keys=7)[:, None]
    assert torch.equal(other(q, k, v, mask=mask), layer(q, k, v, mask=mask))


def train_spans(weight, steps):
    """Return the spans of three heads, of which two must repeat a token.

    The first head's token is one step back, the second's five; what the
    third reads is not used. All start at a span of four.
    """
    generator = torch.Generator().manual_seed(0)
    layer = fast.AdaptiveSpan(3, longest=8, ramp=2.0, start=0.5)
    # Each query's score is highest at the key that it has to repeat.
    q = torch.eye(12).expand(3, 12, 12) * 30.0
    k = torch.stack([torch.eye(12).roll(-back, 0) for back in (1, 5, 1)])
    for _ in range(steps):
        v = torch.randn(3, 12, 3, generator=generator)
        read = layer(q, k, v)
        near = (read[0, 1:] - v[0, :-1]).square().mean()
        far = (read[1, 5:] - v[1, :-5]).square().mean()
        layer.zero_grad()
        (near + far + layer.penalty(weight)).backward()
        with torch.no_grad():  # steps of one size, as Adam's are at first
            layer.fraction -= 0.02 * layer.fraction.grad.sign()
        layer.clamp_()
    return layer.spans().tolist(), (near + far).item()


def test_a_penalty_shrinks_the_spans_that_are_not_needed():
    (_, _, unused), _ = train_spans(0.0, 3)
    assert unused == 4.0
    (near, far, unused), error = train_spans(0.05, 40)
    assert near < 1.0
    # Five steps back need a span and a ramp that are longer than five.
    assert far > 3.0
    assert unused == 0.0
    assert error < 0.1


def test_modules_can_be_copied_and_moved_to_another_type():
    for layer in (
        fast.AdaptiveSpan(3, longest=8, ramp=2.5),
        fast.SentinelAttention(5, context_width=3, hidden=11),
        fast.GatedAttention(6, 2),
    ):
        wide = copy.deepcopy(layer).double()
        assert {x.dtype for x in wide.parameters()} == {torch.float64}
        assert {x.dtype for x in layer.parameters()} == {torch.float32}


Q, K, V = torch.ones(2, 3), torch.ones(5, 3), torch.ones(5, 7)
S, LAST, SENTINEL = torch.ones(2, 5), torch.ones(2), torch.ones(2, 7)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: fast.gated_attention(
                X, CONTEXT, LAYER, LAYER.w_query, heads=2
            ),
            ValueError,
            "gate and heads must agree in columns: got gate=6, heads=4",
        ),
        (
            lambda: fast.head_gated_attention(
                X, CONTEXT, LAYER, LAYER.w_query, heads=2
            ),
            ValueError,
            "gate and heads must agree in heads: got gate=6, heads=2",
        ),
        (
            lambda: fast.gated_reader(Q, torch.ones(3)),
            ValueError,
            r"question must have axes \(\.\.\., question_words, dim\)",
        ),
        (
            lambda: fast.gated_reader(Q.int(), Q),
            TypeError,
            "document must be a floating-point tensor: got torch.int32",
        ),
        (
            lambda: fast.sentinel_weights(S, torch.ones(3)),
            ValueError,
            "agree in queries: got scores=2, sentinel_scores=3",
        ),
        (
            lambda: fast.sentinel_weights(S, LAST, mask=torch.ones(3, 5) > 0),
            ValueError,
            r"= \(\.\.\., 2, 5\): got \(3, 5\)",
        ),
        (
            lambda: fast.sentinel_attention(S, V[:4], LAST, SENTINEL),
            ValueError,
            "agree in keys: got scores=5, v=4",
        ),
        (
            lambda: fast.sentinel_attention(S, V, LAST, Q),
            ValueError,
            "agree in value_dim: got v=7, sentinel=3",
        ),
        (
            lambda: fast.sentinel_attention(S, V, LAST, V),
            ValueError,
            "agree in queries: got scores=2, sentinel=5",
        ),
        (
            lambda: fast.SentinelAttention(0, context_width=3, hidden=2),
            ValueError,
            "width must be at least 1: got 0",
        ),
        (
            lambda: fast.span_mask(2, 3, span=-1.0, ramp=1),
            ValueError,
            r"span must be at least 0 and finite: got -1\.0",
        ),
        (
            lambda: fast.span_mask(2, 3, span=torch.tensor(torch.inf), ramp=1),
            ValueError,
            "span must be at least 0 and finite: got inf",
        ),
        (
            lambda: fast.span_mask(2, 3, span=1, ramp=0),
            ValueError,
            "ramp must be positive and finite: got 0",
        ),
        (
            lambda: fast.span_penalty(1, weight=-1),
            ValueError,
            "weight must be at least 0 and finite: got -1",
        ),
        (
            lambda: fast.adaptive_span_attention(Q, K, V[:4], span=1, ramp=1),
            ValueError,
            "k and v must agree in keys",
        ),
        (
            lambda: fast.adaptive_span_attention(Q, K[0], V, span=1, ramp=1),
            ValueError,
            r"k must have axes \(\.\.\., keys, dim\): got shape \(3,\)",
        ),
        (
            lambda: fast.AdaptiveSpan(3, longest=0, ramp=1),
            ValueError,
            "longest must be at least 1: got 0",
        ),
        (
            lambda: fast.AdaptiveSpan(3, longest=2, ramp=-1),
            ValueError,
            "ramp must be positive and finite: got -1",
        ),
        (
            lambda: fast.AdaptiveSpan(3, longest=2, ramp=1, start=1.5),
            ValueError,
            "start must lie between 0 and 1: got 1.5",
        ),
        (
            lambda: fast.AdaptiveSpan(3, longest=2, ramp=1, start="all"),
            TypeError,
            "start must hold real numbers: got dtype <U3",
        ),
        (
            lambda: fast.span_mask(2, 3, span=1, ramp=[1, 2]),
            ValueError,
            r"ramp must be one number: got \[1, 2\]",
        ),
        (
            lambda: fast.span_mask(2, 3, span=None, ramp=1),
            TypeError,
            "span must hold real numbers: got dtype object",
        ),
        (
            lambda: fast.span_mask(2, 3, span=Q > 0, ramp=1),
            TypeError,
            "span must hold real numbers: got dtype torch.bool",
        ),
        (
            lambda: fast.span_penalty(1, weight=None),
            TypeError,
            "weight must hold real numbers: got dtype object",
        ),
        (
            lambda: fast.adaptive_span_attention(
                Q, K, V, span=1, ramp=1, mask=[[True]]
            ),
            TypeError,
            "mask must be boolean, True where a query may look: got list",
        ),
        (
            lambda: fast.gated_attention(X, CONTEXT, LAYER, None, heads=2),
            TypeError,
            "gate must be a floating-point tensor: got NoneType",
        ),
        (
            lambda: fast.head_gated_attention(
                X, CONTEXT, LAYER, X[0, 0], heads=2
            ),
            ValueError,
            r"gate must have axes \(\.\.\., width, heads\): got shape \(5,",
        ),
        (
            lambda: fast.gated_reader(Q, K[:, :2]),
            ValueError,
            "document and question must agree in dim: got document=3, q",
        ),
        (
            lambda: sentinel_of(memory=(2, 3)),
            ValueError,
            "agree in hidden: got x=5, hidden=5, memory=3",
        ),
        (
            lambda: sentinel_of(memory=(1, 5)),
            ValueError,
            "agree in queries: got x=2, hidden=2, memory=1",
        ),
        (
            lambda: sentinel_of(memory=(3, 2, 5), hidden=(7, 2, 5)),
            ValueError,
            r"broadcast: got x \(\), hidden \(7,\), memory \(3,\)",
        ),
        (
            lambda: fast.SentinelAttention(3, context_width=7, hidden=2)(
                Q, V, SENTINEL[:1]
            ),
            ValueError,
            "x and sentinel must agree in queries: got x=2, sentinel=1",
        ),
        (
            lambda: fast.SentinelAttention(3, context_width=7, hidden=2)(
                Q.expand(4, 2, 3), V.expand(3, 5, 7), SENTINEL
            ),
            ValueError,
            r"x and context must broadcast: got x \(4,\), context \(3,\)",
        ),
        (
            lambda: fast.SentinelAttention(3, context_width=7, hidden=2)(
                Q, [1.0], SENTINEL, mask=Q > 0
            ),
            TypeError,
            "context must be a floating-point tensor: got list",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_open_span_is_dense_attention():
    q, k, v = triple()
    torch.testing.assert_close(
        fast.adaptive_span_attention(q, k, v, span=1e6, ramp=1.0),
        dense.attention(q, k, v, mask=causal_mask(5, 7)),
    )
