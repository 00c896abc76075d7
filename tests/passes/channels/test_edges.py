"""What must be left alone and said so, odd ways to hold weights, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from plugins.channels.analysis import analyze, find_groups
from plugins.channels.cutting import remove
from plugins.channels.overview import overview
from studio.api import Artifact, PassError, Scope, open_artifact, read_model, write_model

from .build import Net, check
from .truth import load, removed_without_trace, run


def small() -> Net:
    net = Net()
    net.op("Relu", net.conv(net.input("x", ["N", 3, 6, 6]), 3, 8))
    net.head(net.conv("relu1", 8, 6), 6)
    return net


def reasons(model: ir.Model) -> dict[str, str]:
    return {group.makers[0].node: group.locked for group in analyze(model, Scope()).groups}


def test_unknown_operators_lock_and_are_named() -> None:
    net = Net()
    x = net.conv(net.input("x", ["N", 3, 6, 6]), 3, 8)
    odd = net.op("NonZero", x)
    model = net.model(net.op("Cast", odd, to=1))
    groups, warnings = find_groups(model, Scope())
    assert groups[0].locked == "nonzero1 (NonZero) is an operator that is not followed"
    assert warnings == ("Left alone, nonzero1 (NonZero) is an operator that is not followed: conv0.",)


def test_softmax_over_channels_locks() -> None:
    net = Net()
    x = net.op("Softmax", net.conv(net.input("x", ["N", 3, 6, 6]), 3, 8), axis=1)
    assert "works over it" in reasons(net.model(net.head(x, 8)))["conv0"]


def test_weights_that_a_caller_may_replace_or_see_lock() -> None:
    net = small()
    model = net.model("gemm5")
    model.graph.inputs.append(model.graph.initializers["w0"])
    assert reasons(model)["conv0"] == "w0 is an input that a caller may replace"
    model = net.model("gemm5")
    model.graph.outputs.append(model.graph.initializers["w0"])
    assert reasons(model)["conv0"] == "w0 is an output of the model"


def test_a_subgraph_that_uses_a_tensor_locks_it() -> None:
    net = small()
    model = ir.to_proto(net.model("gemm5"))
    inner = helper.make_graph(
        [helper.make_node("ReduceSum", ["relu1"], ["t"], "sum", keepdims=0)],
        "then",
        [],
        [helper.make_tensor_value_info("t", 1, [])],
    )
    other = helper.make_graph(
        [helper.make_node("Constant", [], ["e"], "zero", value_float=0.0)],
        "else",
        [],
        [helper.make_tensor_value_info("e", 1, [])],
    )
    model.graph.input.append(helper.make_tensor_value_info("b", onnx.TensorProto.BOOL, []))
    model.graph.node.append(helper.make_node("If", ["b"], ["extra"], "if", then_branch=inner, else_branch=other))
    model.graph.output.append(helper.make_tensor_value_info("extra", 1, []))
    found = ir.from_proto(model)
    assert reasons(found)["conv0"] == "a subgraph of if (If) uses it"
    assert reasons(found)["conv2"] == ""
    removed_without_trace(found, {**net.feeds, "b": np.asarray(True)})


def test_layers_of_subgraphs_are_named() -> None:
    net = small()
    model = ir.to_proto(net.model("gemm5"))
    weight = numpy_helper.from_array(np.ones((5, 4), np.float32), "inner_w")
    branches = [
        helper.make_graph(
            [helper.make_node("MatMul", ["gemm5", "inner_w"], [name], f"inner_{name}")],
            name,
            [],
            [helper.make_tensor_value_info(name, 1, ["N", 4])],
            [weight],
        )
        for name in ("t", "e")
    ]
    model.graph.input.append(helper.make_tensor_value_info("b", onnx.TensorProto.BOOL, []))
    model.graph.node.append(
        helper.make_node("If", ["b"], ["extra"], "if", then_branch=branches[0], else_branch=branches[1])
    )
    model.graph.output.append(helper.make_tensor_value_info("extra", 1, ["N", 4]))
    _, warnings = find_groups(ir.from_proto(model), Scope())
    assert "Left alone, it stands in a subgraph: inner_e, inner_t." in warnings


@pytest.mark.parametrize("way", ["Identity", "Cast", "Constant", "Transpose", "Reshape"])
def test_weights_are_reached_through_other_nodes(way: str) -> None:
    net = Net()
    x = net.op("Relu", net.linear(net.input("x", ["N", 6]), 6, 8))
    weight = net.weight(8, 10)
    if way == "Identity":
        weight = net.op("Identity", weight)
    elif way == "Cast":
        net.weights[weight] = net.weights[weight].astype(np.float16)
        weight = net.op("Cast", weight, to=1)
    elif way == "Constant":
        weight = net.op("Constant", value=numpy_helper.from_array(net.weights.pop(weight)))
    elif way == "Transpose":
        net.weights[weight] = np.ascontiguousarray(net.weights[weight].T)
        weight = net.op("Transpose", weight)
    else:
        net.weights[weight] = net.weights[weight].reshape(8, 1, 10)
        weight = net.op("Reshape", weight, net.ints(8, 10))
    y = net.op("Relu", net.op("MatMul", x, weight))
    analysis, _, _ = check(net, net.linear(y, 10, 5))
    free = [group for group in analysis.groups if not group.locked]
    assert [group.size for group in free] == [8, 10]
    assert all(len(group.makers) == len(group.readers) == 1 for group in free)


def test_quantized_weights_are_sliced_with_their_scales() -> None:
    net = Net()
    x = net.input("x", ["N", 3, 6, 6])
    for inputs, outputs in ((3, 8), (8, 6)):
        weight, scale, zero = net.weight(outputs, inputs, 3, 3), net.weight(outputs, positive=True), net.weight(outputs)
        net.weights[weight] = net.random.integers(-9, 9, (outputs, inputs, 3, 3)).astype(np.int8)
        net.weights[scale] *= np.float32(0.01)
        net.weights[zero] = np.zeros(outputs, np.int8)
        wide = net.op("DequantizeLinear", weight, scale, zero, axis=0)
        x = net.op("Relu", net.op("Conv", x, wide, pads=[1] * 4))
        steps = net.scalar(0.02), net.ints(0)
        net.weights[steps[1]] = np.asarray(0, np.uint8)
        x = net.op("DequantizeLinear", net.op("QuantizeLinear", x, *steps), *steps)
    model = net.model(net.head(x, 6))
    analysis = analyze(model, Scope())
    assert [group.locked for group in analysis.groups[:2]] == ["", ""]
    key = analysis.groups[0].key
    model.graph.initializers["w0"].const_value = ir.tensor(_silent(net.weights["w0"], [1, 5]), name="w0")
    expected = run(model, net.feeds)
    removal = remove(model, {key: [1, 5]})
    np.testing.assert_allclose(run(model, net.feeds)[0], expected[0], rtol=1e-4, atol=1e-5)
    assert removal.units[key] == (8, 6)
    assert tuple(model.graph.initializers["w1"].const_value.shape) == (6,)  # type: ignore[union-attr]


def _silent(array: np.ndarray, rows: list[int]) -> np.ndarray:
    array = array.copy()
    array[rows] = 0
    return array


def test_the_scope_chooses_makers() -> None:
    model = small().model("gemm5")
    groups, warnings = find_groups(model, Scope(names=("conv0",)))
    assert [group.makers[0].node for group in groups] == ["conv0"]
    assert not warnings
    net = Net()
    skip = net.conv(net.input("x", ["N", 3, 6, 6]), 3, 8)
    net.head(net.op("Add", net.conv(skip, 8, 8), skip), 8)
    groups, warnings = find_groups(net.model(net.nodes[-1].output[0]), Scope(names=("conv0",)))
    assert groups[0].locked == "conv1 (Conv) makes it and is not selected"
    assert warnings


def test_where_units_stand() -> None:
    net = small()
    analysis = analyze(net.model("gemm5"), Scope())
    places = {(place.constant, place.axis): list(place.units) for place in analysis.places("conv0")}
    assert places == {("w0", 0): [*range(8)], ("w1", 0): [*range(8)], ("w2", 1): [*range(8)]}


def test_bad_removals_are_refused() -> None:
    net = Net()
    net.head(net.conv(net.conv(net.input("x", ["N", 3, 6, 6]), 3, 8), 8, 6, group=2), 6)
    model = net.model(net.nodes[-1].output[0])
    for gone, message in (
        ({"nothing": [0]}, "There is no group 'nothing'"),
        ({"conv0": [8]}, "has units 0 to 7"),
        ({"conv0": [-1]}, "has units 0 to 7"),
        ({"conv0": list(range(8))}, "would be left"),
        ({"conv0": [0]}, "would be unequal"),
        ({net.nodes[-1].output[0]: [0]}, "may go: .* is an output of the model"),
    ):
        with pytest.raises(PassError, match=message):
            remove(model, gone)
    assert remove(model, {"conv0": []}).changes == ()
    assert remove(model, {"conv0": [0, 7]}).units == {"conv0": (8, 6)}


def test_the_model_is_as_it_was_after_looking() -> None:
    net = Net()
    x, bias = net.input("x", ["N", 3, 6, 6]), net.weight(8)
    ends = [net.head(net.op("Conv", x, net.weight(8, 3, 1, 1), bias), 8) for _ in range(2)]
    model = net.model(*ends)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    overview(model, Scope())
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_functions_lock() -> None:
    net = small()
    model = ir.to_proto(net.model("gemm5"))
    body = [helper.make_node("Neg", ["a"], ["b"])]
    function = helper.make_function("own", "Turn", ["a"], ["b"], body, [helper.make_opsetid("", 18)])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.op_type, node.domain = "Turn", "own"
    found = ir.from_proto(model)
    assert reasons(found)["conv0"] == "relu1 (Turn) is a function of the model that is not followed"
    removed_without_trace(found, net.feeds)


def test_weights_are_not_read(tmp_path: Path) -> None:
    proto = ir.to_proto(small().model("gemm5"))
    onnx.save(proto, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m.data", size_threshold=0)
    (tmp_path / "m.data").unlink()
    groups, _ = find_groups(load(tmp_path / "m.onnx"), Scope())
    assert [group.size for group in groups] == [8, 6, 5]


def test_a_dry_run_tells_what_goes_with_each_group() -> None:
    rows, warnings = overview(small().model("gemm5"), Scope())
    assert [(row.key, row.kind, row.size, row.parts) for row in rows] == [
        ("conv0", "channels", 8, 1),
        ("conv2", "channels", 6, 1),
        ("gemm5", "neurons", 5, 1),
    ]
    parameters = 8 * 27 + 8 + 6 * 72 + 6 + 30 + 5
    assert rows[0].parameters_share == pytest.approx((8 * 27 + 8 + 6 * 72) / parameters)
    macs = 36 * (8 * 27 + 6 * 72) + 30
    assert rows[0].macs_share == pytest.approx(36 * (8 * 27 + 6 * 72) / macs)
    assert rows[2].locked
    assert warnings


def test_the_sample(sample: Artifact, tmp_path: Path) -> None:
    model = read_model(sample)
    feeds = {"image": np.random.default_rng(0).standard_normal((2, 1, 28, 28)).astype(np.float32)}
    feeds = {str(value.name): next(iter(feeds.values())) for value in model.graph.inputs}
    analysis, _, smaller = removed_without_trace(model, feeds)
    assert [group.locked for group in analysis.groups].count("") == len(analysis.groups) - 1
    written = write_model(smaller, tmp_path / "small.onnx")
    assert written.bytes < sample.bytes / 2
    load(written.path)


@pytest.fixture
def sample() -> Artifact:
    return open_artifact(Path("assets/samples/mnist-resnet.onnx"))
