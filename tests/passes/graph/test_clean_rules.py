"""Each rule of the clean-up on a small model, compared in numbers with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from studio.api import open_artifact
from tests.passes.graph.harness import apply, array_of, graph, node, once, operators, save, weight

INT64 = onnx.TensorProto.INT64
FLOAT16 = onnx.TensorProto.FLOAT16
X = {"x": weight(2, 3, seed=1)}


def ints(*values: int) -> NDArray[np.int64]:
    return np.asarray(values, dtype=np.int64)


def clean(
    tmp_path: Path, nodes: list[onnx.NodeProto], weights: dict[str, Any] | None = None, **params: Any
) -> onnx.ModelProto:
    """Clean ``x[2, 3] -> y`` at the opset given, with every check of the harness."""
    opset = params.pop("opset", 17)
    shape = params.pop("shape", (2, 3))
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", shape)], [("y", None)], weights), opset=opset)
    return apply("graph.clean", path, X, **params)[1]


@pytest.mark.parametrize("opset", [11, 13, 17, 21, 24])
def test_constants_become_weights_and_what_depends_on_them_is_computed(tmp_path: Path, opset: int) -> None:
    value = numpy_helper.from_array(weight(3, seed=2))
    nodes = [
        node("Constant", "", "k", value=value),
        node("Sqrt", "w", "r"),
        node("Mul", "k r", "p"),
        node("Add", "x p", "y"),
    ]
    proto = clean(tmp_path, nodes, {"w": np.abs(weight(3))}, opset=opset)
    assert operators(proto) == ["Add"]
    np.testing.assert_allclose(array_of(proto, "p"), weight(3, seed=2) * np.sqrt(np.abs(weight(3))), rtol=1e-6)


def test_shapes_that_are_fixed_are_computed_though_the_batch_is_free(tmp_path: Path) -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s one", "width", axis=0),
        node("Unsqueeze", "width zero", "w1"),
        node("Concat", "rest w1", "target", axis=0),
        node("Reshape", "x target", "y"),
    ]
    weights = {"one": np.asarray(1), "zero": ints(0), "rest": ints(1, -1)}
    assert operators(clean(tmp_path, nodes, weights, shape=("batch", 3))) == ["Reshape"]


def test_a_reshape_to_the_shape_it_has_goes(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "r"), node("Shape", "r", "s"), node("Reshape", "r s", "q"), node("Neg", "q", "y")]
    assert operators(clean(tmp_path, nodes, shape=("batch", "width"))) == ["Relu", "Neg"]


@pytest.mark.parametrize(
    ("nodes", "weights"),
    [
        ([node("Identity", "r", "z")], {}),
        ([node("Dropout", "r", "z")], {}),
        ([node("Dropout", "r half no", "z mask")], {"half": np.float32(0.5), "no": np.asarray(False)}),
        ([node("Cast", "r", "z", to=1)], {}),
        ([node("Transpose", "r", "z", perm=[0, 1])], {}),
        ([node("Reshape", "r s", "z")], {"s": ints(2, 3)}),
        ([node("Reshape", "r s", "z")], {"s": ints(0, -1)}),
        ([node("Flatten", "r", "z", axis=1)], {}),
        ([node("Expand", "r s", "z")], {"s": ints(1, 3)}),
        ([node("Tile", "r s", "z")], {"s": ints(1, 1)}),
        ([node("Pad", "r s", "z")], {"s": ints(0, 0, 0, 0)}),
        ([node("Slice", "r a b", "z")], {"a": ints(0), "b": ints(2**31 - 1)}),
        ([node("Concat", "r", "z", axis=1)], {}),
        ([node("Sum", "r", "z")], {}),
        ([node("Add", "r k", "z")], {"k": np.float32(0)}),
        ([node("Add", "k r", "z")], {"k": np.zeros((1, 1), np.float32)}),
        ([node("Sub", "r k", "z")], {"k": np.float32(0)}),
        ([node("Mul", "k r", "z")], {"k": np.float32(1)}),
        ([node("Div", "r k", "z")], {"k": np.float32(1)}),
        ([node("Transpose", "r", "t", perm=[1, 0]), node("Transpose", "t", "z", perm=[1, 0])], {}),
        ([node("Unsqueeze", "r a", "t"), node("Squeeze", "t a", "z")], {"a": ints(1)}),
    ],
)
def test_what_gives_back_its_input_goes(tmp_path: Path, nodes: list[onnx.NodeProto], weights: dict[str, Any]) -> None:
    proto = clean(tmp_path, [node("Relu", "x", "r"), *nodes, node("Neg", "z", "y")], weights)
    assert operators(proto) == ["Relu", "Neg"]
    assert not proto.graph.initializer


@pytest.mark.parametrize(
    ("nodes", "weights"),
    [
        ([node("Add", "r k", "z")], {"k": np.float32(1e-12)}),
        ([node("Sub", "k r", "z")], {"k": np.float32(0)}),
        ([node("Div", "k r", "z")], {"k": np.float32(1)}),
        ([node("Mul", "r k", "z")], {"k": np.float32(1 + 1e-6)}),
        ([node("Add", "r k", "z")], {"k": np.zeros((1, 1, 1), np.float32)}),
        ([node("Transpose", "r", "z")], {}),
        ([node("Expand", "r s", "z")], {"s": ints(4, 1, 1)}),
        ([node("Slice", "r a b c d", "z")], {"a": ints(-1), "b": ints(-99), "c": ints(0), "d": ints(-1)}),
        ([node("Pad", "r s", "z")], {"s": ints(0, 0, 0, 1)}),
        ([node("Flatten", "r", "z", axis=0)], {}),
    ],
)
def test_what_only_looks_so_stays(tmp_path: Path, nodes: list[onnx.NodeProto], weights: dict[str, Any]) -> None:
    proto = clean(tmp_path, [node("Relu", "x", "r"), *nodes, node("Neg", "z", "y")], weights)
    assert operators(proto) == ["Relu", *[one.op_type for one in nodes], "Neg"]


def test_dropout_in_training_stays(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "r"), node("Dropout", "r half yes", "y")]
    main = graph(nodes, [("x", (2, 3))], [("y", None)], {"half": np.float32(0.5), "yes": np.asarray(True)})
    assert operators(apply("graph.clean", save(tmp_path / "m.onnx", main), None)[1]) == ["Relu", "Dropout"]


def test_rows_of_transposes_reshapes_and_casts_are_merged(tmp_path: Path) -> None:
    nodes = [
        node("Reshape", "x s1", "a"),
        node("Reshape", "a s2", "b"),
        node("Transpose", "b", "c", perm=[1, 2, 0]),
        node("Transpose", "c", "d", perm=[0, 2, 1]),
        node("Cast", "d", "e", to=11),
        node("Cast", "e", "y", to=10),
    ]
    proto = clean(tmp_path, nodes, {"s1": ints(6), "s2": ints(1, 2, 3)})
    assert operators(proto) == ["Reshape", "Transpose", "Cast"]


def test_a_cast_that_loses_stays(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "h", to=10), node("Cast", "h", "y", to=1)]
    assert operators(clean(tmp_path, nodes)) == ["Cast", "Cast"]


def test_a_zero_in_the_second_reshape_still_means_the_size_it_meant(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x s1", "a"), node("Reshape", "a s2", "y")]
    proto = clean(tmp_path, nodes, {"s1": ints(3, 2), "s2": ints(0, 1, 2)})
    assert operators(proto) == ["Reshape"]


def test_nodes_that_compute_the_same_become_one(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Relu", "x", "b"),
        node("Add", "a k", "c"),
        node("Add", "b l", "d"),
        node("Mul", "c d", "y"),
    ]
    proto = clean(tmp_path, nodes, {"k": weight(3), "l": weight(3)})
    assert operators(proto) == ["Relu", "Add", "Mul"]
    assert len(proto.graph.initializer) == 1


def test_random_nodes_are_never_merged(tmp_path: Path) -> None:
    nodes = [
        node("RandomNormalLike", "x", "a"),
        node("RandomNormalLike", "x", "b"),
        node("Bernoulli", "p", "c"),
        node("Bernoulli", "p", "d"),
        node("Sum", "a b c d", "y"),
    ]
    main = graph(nodes, [("x", (2, 3)), ("p", (2, 3))], [("y", None)])
    assert len(operators(apply("graph.clean", save(tmp_path / "m.onnx", main), None)[1])) == 5


def test_dead_nodes_weights_and_functions_go(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "y"), node("MatMul", "x w", "unused"), node("Neg", "unused", "dead")]
    body = [node("Relu", "a", "b")]
    opsets = [onnx.helper.make_opsetid("", 17)]
    function = onnx.helper.make_function("mine", "Never", ["a"], ["b"], body, opsets)
    main = graph(nodes, [("x", (2, 3))], [("y", None)], {"w": weight(3, 3), "unread": weight(9)})
    result, proto = apply("graph.clean", save(tmp_path / "m.onnx", main, functions=[function]), X)
    assert operators(proto) == ["Relu"]
    assert not proto.graph.initializer
    assert not proto.functions
    assert {change.operator for change in result.changes} == {"MatMul", "Neg"}


@pytest.mark.parametrize(
    ("switch", "nodes"),
    [
        ("constants", [node("Sqrt", "w", "k"), node("Add", "x k", "y")]),
        ("no_ops", [node("Identity", "x", "i"), node("Neg", "i", "y")]),
        ("chains", [node("Transpose", "x", "t", perm=[1, 0]), node("Transpose", "t", "y", perm=[1, 0])]),
        ("duplicates", [node("Neg", "x", "a"), node("Neg", "x", "b"), node("Add", "a b", "y")]),
        ("dead_code", [node("Neg", "x", "y"), node("Relu", "x", "dead")]),
    ],
)
def test_each_rule_is_a_switch(tmp_path: Path, switch: str, nodes: list[onnx.NodeProto]) -> None:
    main = graph(nodes, [("x", (2, 3))], [("y", None)], {"w": np.abs(weight(3))} if switch == "constants" else None)
    path = save(tmp_path / "m.onnx", main)
    switches: dict[str, Any] = {switch: False}
    result, proto = apply("graph.clean", path, X, **switches)
    assert operators(proto) == [one.op_type for one in nodes]
    assert result.artifact.path == path


def test_shapes_are_written_only_where_wanted(tmp_path: Path) -> None:
    nodes = [node("Identity", "x", "i"), node("Neg", "i", "n"), node("Relu", "n", "y")]
    for wanted in (True, False):
        folder = tmp_path / str(wanted)
        folder.mkdir()
        proto = clean(folder, nodes, shapes=wanted)
        assert bool(proto.graph.value_info) is wanted


@pytest.mark.parametrize("growth", [0, 1, 64])
def test_folding_adds_no_more_than_the_limit(tmp_path: Path, growth: int) -> None:
    """A result of 4000 bytes made from 8 is stored only where that much growth is allowed."""
    nodes = [node("Expand", "one s", "k"), node("Mul", "k x", "y")]
    main = graph(nodes, [("x", (1000,))], [("y", None)], {"one": np.full(1, 2, np.float32), "s": ints(1000)})
    path = save(tmp_path / "m.onnx", main)
    _, proto = apply("graph.clean", path, {"x": weight(1000)}, growth=growth)
    assert operators(proto) == (["Mul"] if growth == 64 else ["Expand", "Mul"])


def test_many_small_results_share_one_limit(tmp_path: Path) -> None:
    nodes = [node("Expand", f"k{i} s", f"e{i}") for i in range(5)]
    nodes.append(node("Sum", "x " + " ".join(f"e{i}" for i in range(5)), "y"))
    weights: dict[str, Any] = {f"k{i}": np.full(1, i, np.float32) for i in range(5)}
    main = graph(nodes, [("x", (100,))], [("y", None)], {**weights, "s": ints(100)})
    source = open_artifact(save(tmp_path / "m.onnx", main))
    proto = onnx.load(str(once("graph.clean", source, tmp_path / "result", growth=1).artifact.path))
    assert operators(proto).count("Expand") == 3


def test_a_large_weight_is_folded_in_place_without_growth(tmp_path: Path) -> None:
    nodes = [node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "x t", "y")]
    main = graph(nodes, [("x", (2, 300))], [("y", None)], {"w": weight(200, 300)})
    path = save(tmp_path / "m.onnx", main)
    _, proto = apply("graph.clean", path, {"x": weight(2, 300)}, growth=0)
    assert operators(proto) == ["MatMul"]
    np.testing.assert_array_equal(array_of(proto, "t"), weight(200, 300).T)


def test_quantize_and_dequantize_stay(tmp_path: Path) -> None:
    nodes = [node("DequantizeLinear", "q s", "w"), node("MatMul", "x w", "y")]
    weights: dict[str, Any] = {"q": np.ones((3, 3), np.int8), "s": np.float32(0.5)}
    assert operators(clean(tmp_path, nodes, weights)) == ["DequantizeLinear", "MatMul"]


def test_integer_division_is_left_to_the_engine_where_signs_differ(tmp_path: Path) -> None:
    nodes = [node("Div", "a b", "k"), node("Cast", "k", "f", to=1), node("Add", "x f", "y")]
    assert operators(clean(tmp_path, nodes, {"a": ints(-7), "b": ints(2)})) == ["Div", "Cast", "Add"]


def test_half_precision_is_computed_in_half_precision(tmp_path: Path) -> None:
    nodes = [node("Mul", "a b", "k"), node("Add", "x k", "y")]
    weights = {"a": weight(3, dtype=np.float16), "b": weight(3, seed=5, dtype=np.float16)}
    main = graph(nodes, [("x", (2, 3), FLOAT16)], [("y", None)], weights)
    _, proto = apply("graph.clean", save(tmp_path / "m.onnx", main), {"x": weight(2, 3, dtype=np.float16)})
    assert array_of(proto, "k").dtype == np.float16
