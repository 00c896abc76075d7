"""Groups of transformers: heads, their dimensions, feed-forward neurons; computed shapes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from plugins.channels.group import Group
from plugins.channels.sizes import small_integers

from .build import Net, check
from .truth import removed_without_trace

WIDTH, HEADS, DEPTH = 12, 4, 3


def tokens(net: Net) -> str:
    return net.input("x", ["N", "S", WIDTH])


def computed(net: Net, x: str, *rest: int) -> str:
    """Compute the shape (N, S, ...) as exporters do."""
    shape = net.op("Shape", x)
    first = [net.op("Unsqueeze", net.op("Gather", shape, net.scalar(axis)), net.ints(0)) for axis in range(2)]
    return str(net.op("Concat", *first, *(net.ints(size) for size in rest), axis=0))


def split_heads(net: Net, x: str, heads: int, *, compute: bool) -> str:
    shape = computed(net, x, heads, DEPTH) if compute else net.ints(0, 0, heads, DEPTH)
    return str(net.op("Transpose", net.op("Reshape", x, shape), perm=[0, 2, 1, 3]))


def attend(net: Net, q: str, k: str, v: str, *, width: int, compute: bool = False) -> str:
    """Give softmax(q k') v of (N, H, S, D) as (N, S, H * D)."""
    scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2]))
    weights = net.op("Softmax", net.op("Mul", scores, net.scalar(0.5)), axis=-1)
    merged = net.op("Transpose", net.op("MatMul", weights, v), perm=[0, 2, 1, 3])
    shape = computed(net, merged, width) if compute else net.ints(0, 0, width)
    return str(net.op("Reshape", merged, shape))


def named(groups: list[Group], kind: str) -> list[Group]:
    return [group for group in groups if group.kind == kind and not group.locked]


@pytest.mark.parametrize("compute", [False, True])
def test_heads_are_units(compute: bool) -> None:
    net = Net()
    x = tokens(net)
    q, k, v = (split_heads(net, net.linear(x, WIDTH, HEADS * DEPTH), HEADS, compute=compute) for _ in range(3))
    out = net.linear(attend(net, q, k, v, width=HEADS * DEPTH, compute=compute), HEADS * DEPTH, WIDTH)
    analysis, _, smaller = check(net, net.op("Add", out, x))
    (heads,) = named(analysis.groups, "heads")
    assert heads.size == HEADS
    assert len(heads.makers) == 3
    assert [list(port.units) for port in heads.readers] == [list(np.repeat(np.arange(HEADS), DEPTH))]
    # of query and key together, and of value
    dims = named(analysis.groups, "neurons")
    assert [group.size for group in dims] == [DEPTH, DEPTH]
    assert [len(group.makers) for group in dims] == [2, 1]
    assert smaller.graph.outputs[0].name == net.nodes[-1].output[0]


@pytest.mark.parametrize("how", ["reshape", "split"])
def test_fused_projection(how: str) -> None:
    net = Net()
    x = tokens(net)
    fused = net.linear(x, WIDTH, 3 * HEADS * DEPTH)
    if how == "reshape":
        grid = net.op("Transpose", net.op("Reshape", fused, net.ints(0, 0, 3, HEADS, DEPTH)), perm=[2, 0, 3, 1, 4])
        q, k, v = (net.op("Gather", grid, net.scalar(index), axis=0) for index in range(3))
    else:
        parts = net.op("Split", fused, net.ints(*[HEADS * DEPTH] * 3), axis=2, outputs=3)
        q, k, v = (split_heads(net, part, HEADS, compute=False) for part in parts)
    out = net.linear(attend(net, q, k, v, width=HEADS * DEPTH), HEADS * DEPTH, WIDTH)
    analysis, _, _ = check(net, net.op("Add", out, x))
    (heads,) = named(analysis.groups, "heads")
    assert heads.size == HEADS
    assert list(heads.makers[0].units) == list(np.tile(np.repeat(np.arange(HEADS), DEPTH), 3))


def test_grouped_queries() -> None:
    net = Net()
    x = tokens(net)
    q = split_heads(net, net.linear(x, WIDTH, 4 * DEPTH), 4, compute=False)
    k, v = (split_heads(net, net.linear(x, WIDTH, 2 * DEPTH), 2, compute=False) for _ in range(2))
    wide = []
    for one in (k, v):
        more = net.op("Unsqueeze", one, net.ints(2))
        more = net.op("Expand", more, net.ints(1, 1, 2, 1, 1))
        wide.append(net.op("Reshape", more, net.ints(0, 4, -1, DEPTH)))
    out = net.linear(attend(net, q, wide[0], wide[1], width=4 * DEPTH), 4 * DEPTH, WIDTH)
    analysis, _, smaller = check(net, net.op("Add", out, x), share=0.5)
    shared, queries = sorted(named(analysis.groups, "heads"), key=lambda group: group.size)
    assert [shared.size, queries.size] == [2, 4]
    assert list(queries.parts) == [0, 0, 1, 1]
    assert list(queries.makers[0].units) == list(np.repeat(np.arange(4), DEPTH))
    assert list(shared.makers[0].units) == list(np.repeat(np.arange(2), 2 * DEPTH))
    assert len(shared.makers) == 3
    shapes = [small_integers(node.inputs[1]) for node in smaller.graph if node.op_type == "Expand"]
    assert [list(shape) for shape in shapes if shape is not None] == [[1, 1, 1, 1, 1]] * 2


def test_gated_feed_forward() -> None:
    net = Net()
    x = tokens(net)
    gate = net.linear(x, WIDTH, 20)
    hidden = net.op("Mul", net.op("Mul", gate, net.op("Sigmoid", gate)), net.linear(x, WIDTH, 20))
    analysis, _, _ = check(net, net.op("Add", net.linear(hidden, 20, WIDTH), x))
    (neurons,) = named(analysis.groups, "neurons")
    assert neurons.size == 20
    assert len(neurons.makers) == 2


def test_normalized_width_is_locked_and_embeddings_belong_to_it() -> None:
    net = Net()
    ids = net.input("ids", ["N", "S"], dtype=7, most=30)
    x = net.op("Gather", net.weight(30, WIDTH), ids)
    x = net.op("LayerNormalization", x, net.weight(WIDTH), net.weight(WIDTH), axis=-1)
    hidden = net.op("Gelu", net.linear(x, WIDTH, 16)) if net.opset >= 20 else net.op("Relu", net.linear(x, WIDTH, 16))
    out = net.linear(net.op("Add", net.linear(hidden, 16, WIDTH), x), WIDTH, 5)
    analysis, _, _ = check(net, out)
    assert [group.size for group in named(analysis.groups, "neurons")] == [16]
    assert "layernormalization1 (LayerNormalization) normalizes over it: gather0" in analysis.warnings[0]


def test_width_without_normalization_goes_through_the_residual_stream() -> None:
    net = Net()
    ids = net.input("ids", ["N", "S"], dtype=7, most=30)
    x = net.op("Gather", net.weight(30, WIDTH), ids)
    hidden = net.op("Relu", net.linear(x, WIDTH, 16))
    x = net.op("Add", net.linear(hidden, 16, WIDTH), x)
    analysis, _, _ = check(net, net.linear(x, WIDTH, 5))
    assert sorted(group.size for group in named(analysis.groups, "neurons")) == [WIDTH, 16]


def test_rotary_embedding_ties_both_halves() -> None:
    net = Net()
    x = net.input("x", ["N", 5, WIDTH])
    turned = []
    for _ in range(2):
        one = net.op("Transpose", net.op("Reshape", net.linear(x, WIDTH, 8), net.ints(0, 0, 2, 4)), perm=[0, 2, 1, 3])
        low = net.op("Slice", one, net.ints(0), net.ints(2), net.ints(3))
        high = net.op("Slice", one, net.ints(2), net.ints(2**40), net.ints(3))
        half = net.op("Concat", net.op("Neg", high), low, axis=-1)
        turned.append(net.op("Add", net.op("Mul", one, net.weight(5, 4)), net.op("Mul", half, net.weight(5, 4))))
    v = net.op("Transpose", net.op("Reshape", net.linear(x, WIDTH, 8), net.ints(0, 0, 2, 4)), perm=[0, 2, 1, 3])
    out = net.linear(attend(net, turned[0], turned[1], v, width=8), 8, WIDTH)
    analysis, _, _ = check(net, net.op("Add", out, x))
    assert [group.size for group in named(analysis.groups, "heads")] == [2]
    assert 2 in [group.size for group in named(analysis.groups, "neurons")]


def test_einsum() -> None:
    net = Net()
    x = tokens(net)
    q, k, v = (net.op("Einsum", x, net.weight(WIDTH, HEADS, DEPTH), equation="nsw,whd->nhsd") for _ in range(3))
    scores = net.op("Softmax", net.op("Einsum", q, k, equation="nhsd,nhtd->nhst"), axis=-1)
    mixed = net.op("Einsum", scores, v, equation="nhst,nhtd->nshd")
    out = net.op("Einsum", mixed, net.weight(HEADS, DEPTH, WIDTH), equation="nshd,hdw->nsw")
    analysis, _, _ = check(net, net.op("Add", out, x))
    assert [group.size for group in named(analysis.groups, "heads")] == [HEADS]


def test_scale_that_depends_on_the_size_locks_it() -> None:
    net = Net()
    x = tokens(net)
    hidden = net.linear(x, WIDTH, 16)
    size = net.op("Cast", net.op("Gather", net.op("Shape", hidden), net.scalar(2)), to=1)
    analysis, _, _ = check(net, net.linear(net.op("Div", hidden, net.op("Sqrt", size)), 16, 5))
    assert "computes with its size" in analysis.groups[0].locked


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent(operator: str, directions: int) -> None:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator]
    net = Net()
    x = net.op("Transpose", net.linear(tokens(net), WIDTH, 10), perm=[1, 0, 2])
    weights = [net.weight(directions, gates * 8, 10), net.weight(directions, gates * 8, 8)]
    bias = net.weight(directions, 2 * gates * 8)
    direction = "bidirectional" if directions == 2 else "forward"
    start = net.op(
        "Expand",
        net.scalar(0.0),
        net.op(
            "Concat",
            net.ints(directions),
            net.op("Slice", net.op("Shape", x), net.ints(1), net.ints(2)),
            net.ints(8),
            axis=0,
        ),
    )
    found = net.op(operator, x, *weights, bias, "", start, outputs=1, hidden_size=8, direction=direction)
    merged = net.op("Reshape", net.op("Transpose", found, perm=[0, 2, 1, 3]), net.ints(0, 0, directions * 8))
    analysis, _, smaller = check(net, net.linear(merged, directions * 8, 5))
    (states,) = named(analysis.groups, "states")
    assert states.size == 8
    assert next(node for node in smaller.graph if node.op_type == operator).attributes["hidden_size"].as_int() == 5


def test_fused_operators_of_an_engine() -> None:
    net = Net()
    x = tokens(net)
    hidden = net.op("BiasGelu", net.op("MatMul", x, net.weight(WIDTH, 16)), net.weight(16), domain="com.microsoft")
    out = net.op("FusedMatMul", hidden, net.weight(WIDTH, 16), transB=1, domain="com.microsoft")
    ones = net.weight(WIDTH), net.weight(WIDTH)
    y = net.op("SkipLayerNormalization", x, out, *ones, domain="com.microsoft")
    model = net.model(net.linear(y, WIDTH, 5))
    model.opset_imports["com.microsoft"] = 1
    model.graph.outputs[0].shape = ir.Shape(["N", "S", 5])
    analysis, _, _ = removed_without_trace(model, net.feeds)
    assert [(group.size, bool(group.locked)) for group in analysis.groups] == [(16, False), (WIDTH, True), (5, True)]


def test_fused_convolution() -> None:
    net = Net()
    x = net.input("x", ["N", 3, 6, 6])
    first = net.conv(x, 3, 8)
    added = net.op(
        "FusedConv", first, net.weight(8, 8, 1, 1), net.weight(8), first, activation="Relu", domain="com.microsoft"
    )
    model = net.model(net.head(added, 8))
    model.opset_imports["com.microsoft"] = 1
    analysis, _, _ = removed_without_trace(model, net.feeds)
    assert [(len(group.makers), bool(group.locked)) for group in analysis.groups] == [(2, False), (1, True)]


def test_a_computed_shape_that_becomes_constant_goes() -> None:
    net = Net()
    x = net.input("x", ["N", 5, WIDTH])
    hidden = net.linear(x, WIDTH, 8)
    wide = net.op("Reshape", hidden, computed(net, hidden, 4, 2))
    out = net.linear(net.op("Reshape", net.op("Relu", wide), net.ints(0, 0, 8)), 8, 5)
    analysis, removal, smaller = check(net, out)
    assert [group.size for group in analysis.groups if not group.locked] == [4, 2]
    removed = [change.operator for change in removal.changes if change.change == "removed"]
    assert sorted(removed) == ["Concat", "Gather", "Gather", "Shape", "Unsqueeze", "Unsqueeze"]
    assert not {"Concat", "Shape"} & {node.op_type for node in smaller.graph}
