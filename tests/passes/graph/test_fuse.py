"""Portable fusions, each hit on a small model and compared in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from studio.api import Scope
from tests.passes.graph.harness import apply, array_of, graph, node, operators, save, weight

Nodes = Sequence[onnx.NodeProto]
IMAGE, ROWS = (2, 4, 6, 6), (3, 8)


def fuse(
    tmp_path: Path, nodes: Nodes, shape: tuple[Any, ...], weights: dict[str, Any], opset: int = 20, **params: Any
) -> onnx.ModelProto:
    """Fuse ``x -> y`` with every check of the harness."""
    outputs = params.pop("outputs", [("y", None)])
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", shape)], outputs, weights), opset=opset)
    feed = weight(*[size if isinstance(size, int) else 2 for size in shape], seed=3)
    return apply("graph.fuse", path, {"x": feed * 3}, **params)[1]


@pytest.mark.parametrize("opset", [11, 13, 18, 24])
@pytest.mark.parametrize(
    ("operator", "constant"),
    [("Mul", (4, 1, 1)), ("Add", (1, 4, 1, 1)), ("Sub", ()), ("Div", (1,)), ("Add", (4, 1, 1))],
)
def test_scales_and_shifts_go_into_conv(tmp_path: Path, opset: int, operator: str, constant: tuple[int, ...]) -> None:
    nodes = [node("Conv", "x w", "h", pads=[1, 1, 1, 1]), node(operator, "h k", "y")]
    weights = {"w": weight(4, 4, 3, 3), "k": np.asarray(np.abs(weight(*constant, seed=7)) + 0.5, np.float32)}
    proto = fuse(tmp_path, nodes, IMAGE, weights, opset)
    assert operators(proto) == ["Conv"]
    assert proto.graph.node[0].output == ["y"]


def test_a_row_of_scales_and_shifts_goes_into_every_layer(tmp_path: Path) -> None:
    nodes = [
        node("ConvTranspose", "x w", "a", group=2),
        node("Mul", "k a", "b"),
        node("Add", "b l", "c"),
        node("GlobalAveragePool", "c", "d"),
        node("Flatten", "d", "e"),
        node("Gemm", "e v f", "g", beta=0.5),
        node("Mul", "g s", "h"),
        node("Sub", "h n", "y"),
    ]
    weights = {"w": weight(4, 3, 2, 2), "k": weight(6, 1, 1), "l": weight(1, 6, 1, 1, seed=4), "v": weight(6, 5)}
    weights |= {"f": weight(5), "s": weight(1, 5), "n": weight(5, seed=9)}
    proto = fuse(tmp_path, nodes, IMAGE, weights)
    assert operators(proto) == ["ConvTranspose", "GlobalAveragePool", "Flatten", "Gemm"]


@pytest.mark.parametrize(
    ("nodes", "weights"),
    [
        ([node("Conv", "x w", "h"), node("Mul", "h k", "y")], {"k": weight(6, 6)}),
        ([node("Conv", "x w", "h"), node("Div", "k h", "y")], {"k": np.float32(2)}),
        ([node("Conv", "x w", "h"), node("Add", "h k", "y")], {"k": weight(1, 1, 4, 1, 1)}),
        ([node("Conv", "x w", "h"), node("Div", "h k", "y")], {"k": np.float32(0)}),
        ([node("Conv", "x w", "h"), node("Mul", "h h", "y")], {}),
        ([node("Conv", "x w", "h"), node("Neg", "h", "n"), node("Mul", "h n", "y")], {}),
    ],
)
def test_what_is_no_scale_of_channels_stays(tmp_path: Path, nodes: Nodes, weights: dict[str, Any]) -> None:
    proto = fuse(tmp_path, nodes, IMAGE, {"w": weight(4, 4, 1, 1), **weights})
    assert len(proto.graph.node) == len(nodes)


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
@pytest.mark.parametrize("explicit", [True, False])
def test_pad_goes_into_conv(tmp_path: Path, opset: int, explicit: bool) -> None:
    nodes = [
        node("Pad", "x p z" if explicit else "x p", "h"),
        node("Conv", "h w", "y", pads=[1, 0, 0, 1], strides=[2, 2]),
    ]
    weights: dict[str, Any] = {"p": np.asarray([0, 0, 1, 2, 0, 0, 3, 0]), "w": weight(4, 4, 3, 3)}
    proto = fuse(tmp_path, nodes, IMAGE, weights | ({"z": np.float32(0)} if explicit else {}), opset)
    assert operators(proto) == ["Conv"]
    pads = next(one.ints for one in proto.graph.node[0].attribute if one.name == "pads")
    assert list(pads) == [2, 2, 3, 1]


def test_pad_with_axes_goes_into_conv(tmp_path: Path) -> None:
    nodes = [node("Pad", "x p - a", "h"), node("Conv", "h w", "y", auto_pad="VALID")]
    weights: dict[str, Any] = {"p": np.asarray([1, 2]), "a": np.asarray([-1]), "w": weight(4, 4, 3, 3)}
    assert operators(fuse(tmp_path, nodes, IMAGE, weights)) == ["Conv"]


@pytest.mark.parametrize(
    ("pads", "inputs", "attributes", "conv"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], "x p one", {}, {}),
        ([0, 0, 1, 1, 0, 0, 1, 1], "x p", {"mode": "reflect"}, {}),
        ([0, 0, -1, 0, 0, 0, 0, 0], "x p", {}, {}),
        ([1, 0, 0, 0, 0, 0, 0, 0], "x p", {}, {}),
        ([0, 0, 1, 1, 0, 0, 1, 1], "x p", {}, {"auto_pad": "SAME_UPPER"}),
    ],
)
def test_other_padding_stays(
    tmp_path: Path, pads: list[int], inputs: str, attributes: dict[str, Any], conv: dict[str, Any]
) -> None:
    nodes = [node("Pad", inputs, "h", **attributes), node("Conv", "h w", "y", **conv)]
    weights = {"p": np.asarray(pads), "w": weight(4, 4, 3, 3), "one": np.float32(1)}
    assert operators(fuse(tmp_path, nodes, IMAGE, weights)) == ["Pad", "Conv"]


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ([node("Relu", "x", "h"), node("Relu", "h", "y")], "Relu"),
        ([node("Relu", "x", "h"), node("Clip", "h - six", "y")], "Clip"),
        ([node("Clip", "x low six", "h"), node("Relu", "h", "y")], "Clip"),
        ([node("Clip", "x low one", "h"), node("Clip", "h zero six", "y")], "Clip"),
        ([node("Clip", "x zero one", "h"), node("Clip", "h two six", "y")], "Clip"),
        ([node("Clip", "x two six", "h"), node("Clip", "h zero one", "y")], "Clip"),
        ([node("Clip", "x low", "h"), node("Relu", "h", "y")], "Relu"),
    ],
)
def test_relu_and_clip_merge(tmp_path: Path, nodes: Nodes, left: str) -> None:
    numbers = {"low": -1, "zero": 0, "one": 1, "two": 2, "six": 6}
    used = {name for one in nodes for name in one.input}
    weights = {name: np.float32(number) for name, number in numbers.items() if name in used}
    assert operators(fuse(tmp_path, nodes, ROWS, weights)) == [left]


def test_a_clip_the_wrong_way_round_stays(tmp_path: Path) -> None:
    nodes = [node("Clip", "x two one", "h"), node("Relu", "h", "y")]
    assert len(fuse(tmp_path, nodes, ROWS, {"two": np.float32(2), "one": np.float32(1)}).graph.node) == 2


@pytest.mark.parametrize("opset", [11, 13, 17, 24])
@pytest.mark.parametrize("bias", [(5,), (1, 5), (3, 5), (1,), ()])
def test_matmul_and_add_are_gemm(tmp_path: Path, opset: int, bias: tuple[int, ...]) -> None:
    nodes = [node("MatMul", "x w", "h"), node("Add", "b h", "y")]
    weights = {"w": weight(8, 5), "b": np.asarray(weight(*bias, seed=5), np.float32)}
    assert operators(fuse(tmp_path, nodes, ROWS, weights, opset)) == ["Gemm"]


@pytest.mark.parametrize("flips", ["", "a", "b", "ab"])
def test_gemm_takes_transposes_along(tmp_path: Path, flips: str) -> None:
    left, right = ("t" if "a" in flips else "x"), ("u" if "b" in flips else "w")
    nodes = [node("Transpose", "x", "t", perm=[1, 0])] if "a" in flips else []
    nodes += [node("Transpose", "w", "u", perm=[1, 0])] if "b" in flips else []
    nodes += [node("MatMul", f"{left} {right}", "h"), node("Add", "h b", "y")]
    rows = 3 if "a" in flips else 8
    shape = (5, rows) if "b" in flips else (rows, 5)
    assert operators(fuse(tmp_path, nodes, ROWS, {"w": weight(*shape), "b": weight(5)})) == ["Gemm"]


@pytest.mark.parametrize(
    ("shape", "second", "bias"),
    [((2, 3, 8), (8, 5), (5,)), ((1, 8), (8, 5), (7, 5)), ((3, 8), (8, 1), (5,)), (("batch", 8), (8, 5), (2, 5))],
)
def test_what_gemm_cannot_broadcast_stays(
    tmp_path: Path, shape: tuple[Any, ...], second: tuple[int, ...], bias: tuple[int, ...]
) -> None:
    nodes = [node("MatMul", "x w", "h"), node("Add", "h b", "y")]
    proto = fuse(tmp_path, nodes, shape, {"w": weight(*second), "b": weight(*bias)})
    assert operators(proto) == ["MatMul", "Add"]


def gelu(form: str) -> list[onnx.NodeProto]:
    """Write Gelu out as exporters do."""
    bracket = [node("Div", "r root", "d"), node("Erf", "d", "e"), node("Add", "e one", "f")]
    if form == "factor":
        bracket[0] = node("Mul", "r inverse", "d")
    if form == "tanh":
        bracket = [
            node("Pow", "r three", "c"),
            node("Mul", "c cubic", "q"),
            node("Add", "r q", "s"),
            node("Mul", "s rate", "d"),
            node("Tanh", "d", "e"),
            node("Add", "one e", "f"),
        ]
    if form == "half first":
        return [*bracket, node("Mul", "r half", "g"), node("Mul", "g f", "y")]
    if form == "half bracket":
        return [*bracket, node("Mul", "half f", "g"), node("Mul", "r g", "y")]
    return [*bracket, node("Mul", "r f", "g"), node("Mul", "g half", "y")]


GELU = {"root": np.sqrt(2), "inverse": np.sqrt(0.5), "one": 1, "half": 0.5, "three": 3, "cubic": 0.044715}
GELU_WEIGHTS = {name: np.float32(number) for name, number in {**GELU, "rate": np.sqrt(2 / np.pi)}.items()}


@pytest.mark.parametrize("form", ["plain", "factor", "half first", "half bracket", "tanh"])
@pytest.mark.parametrize("opset", [17, 20, 24])
def test_gelu(tmp_path: Path, form: str, opset: int) -> None:
    nodes = [node("Neg", "x", "r"), *gelu(form)]
    used = {name for one in nodes for name in one.input}
    weights = {name: array for name, array in GELU_WEIGHTS.items() if name in used}
    found = operators(fuse(tmp_path, nodes, ROWS, weights, opset))
    assert found == (["Neg", "Gelu"] if opset >= 20 else [one.op_type for one in nodes])


def test_what_resembles_gelu_stays(tmp_path: Path) -> None:
    nodes = [node("Neg", "x", "r"), *gelu("plain")]
    weights = {name: GELU_WEIGHTS[name] for name in ("one", "half")} | {"root": np.float32(1.5)}
    assert "Gelu" not in operators(fuse(tmp_path, nodes, ROWS, weights))


def layer_norm(opset: int, *, power: bool, divide: bool) -> list[onnx.NodeProto]:
    """Write LayerNormalization out as exporters do."""
    means = [node("ReduceMean", "x", "m", axes=[-1]), node("ReduceMean", "sq", "v", axes=[-1])]
    if opset >= 18:
        means = [node("ReduceMean", "x axes", "m"), node("ReduceMean", "sq axes", "v")]
    return [
        means[0],
        node("Sub", "x m", "d"),
        node("Pow", "d two", "sq") if power else node("Mul", "d d", "sq"),
        means[1],
        node("Add", "v eps", "ve"),
        node("Sqrt", "ve", "root"),
        *([node("Div", "d root", "n")] if divide else [node("Reciprocal", "root", "i"), node("Mul", "d i", "n")]),
        node("Mul", "n scale", "ns"),
    ]


@pytest.mark.parametrize("opset", [13, 17, 18, 24])
@pytest.mark.parametrize(("power", "divide", "bias"), [(True, True, True), (False, False, True), (True, True, False)])
def test_layer_normalization(tmp_path: Path, opset: int, power: bool, divide: bool, bias: bool) -> None:
    nodes = layer_norm(opset, power=power, divide=divide)
    nodes.append(node("Add", "ns bias", "y") if bias else node("Relu", "ns", "y"))
    weights: dict[str, Any] = {"eps": np.float32(1e-5), "scale": weight(8, seed=4)}
    weights |= {"two": np.float32(2)} if power else {}
    weights |= {"axes": np.asarray([-1])} if opset >= 18 else {}
    weights |= {"bias": weight(8, seed=6)} if bias else {}
    found = operators(fuse(tmp_path, nodes, (2, 5, 8), weights, opset))
    fused = ["LayerNormalization"] if bias else ["LayerNormalization", "Relu"]
    assert found == (fused if opset >= 17 else [one.op_type for one in nodes])


def test_a_normalization_whose_middle_is_an_output_stays(tmp_path: Path) -> None:
    nodes = [*layer_norm(17, power=True, divide=True), node("Add", "ns bias", "y")]
    weights = {"eps": np.float32(1e-5), "scale": weight(8), "two": np.float32(2), "bias": weight(8)}
    proto = fuse(tmp_path, nodes, (2, 5, 8), weights, 17, outputs=[("y", None), ("v", None)])
    assert len(proto.graph.node) == len(nodes)


def test_a_scale_of_another_width_is_no_layer_normalization(tmp_path: Path) -> None:
    nodes = layer_norm(17, power=True, divide=True)
    weights = {"eps": np.float32(1e-5), "scale": weight(1), "two": np.float32(2)}
    assert len(fuse(tmp_path, nodes, (2, 5, 8), weights, 17, outputs=[("ns", None)]).graph.node) == len(nodes)


@pytest.mark.parametrize("form", ["product first", "gate", "factor", "sigmoid"])
@pytest.mark.parametrize("opset", [11, 14, 22])
def test_hard_swish(tmp_path: Path, form: str, opset: int) -> None:
    clip = [node("Add", "x three", "a"), node("Clip", "a zero six", "c")]
    nodes = {
        "product first": [*clip, node("Mul", "x c", "p"), node("Div", "p six", "y")],
        "gate": [*clip, node("Div", "c six", "p"), node("Mul", "p x", "y")],
        "factor": [*clip, node("Mul", "c sixth", "p"), node("Mul", "x p", "y")],
        "sigmoid": [node("HardSigmoid", "x", "p", alpha=1 / 6, beta=0.5), node("Mul", "x p", "y")],
    }[form]
    numbers = {"three": 3, "zero": 0, "six": 6, "sixth": 1 / 6}
    used = {name for one in nodes for name in one.input}
    weights = {name: np.float32(number) for name, number in numbers.items() if name in used}
    found = operators(fuse(tmp_path, nodes, ROWS, weights, opset))
    if opset >= 14:
        assert found == ["HardSwish"]
    elif form in ("gate", "factor"):
        assert found == ["HardSigmoid", "Mul"]
    else:
        assert found == [one.op_type for one in nodes]


def test_hard_sigmoid_alone(tmp_path: Path) -> None:
    nodes = [node("Add", "x three", "a"), node("Clip", "a zero six", "c"), node("Div", "c six", "y")]
    weights = {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)}
    assert operators(fuse(tmp_path, nodes, ROWS, weights)) == ["HardSigmoid"]


SWITCHED: dict[str, tuple[Nodes, dict[str, Any], tuple[int, ...]]] = {
    "affine": (
        [node("Conv", "x w", "h"), node("Mul", "h k", "y")],
        {"w": weight(4, 4, 1, 1), "k": np.float32(2)},
        IMAGE,
    ),
    "pads": (
        [node("Pad", "x p", "h"), node("Conv", "h w", "y")],
        {"w": weight(4, 4, 1, 1), "p": np.asarray([0, 0, 1, 1, 0, 0, 1, 1])},
        IMAGE,
    ),
    "clips": ([node("Relu", "x", "h"), node("Relu", "h", "y")], {}, ROWS),
    "gemm": ([node("MatMul", "x w", "h"), node("Add", "h b", "y")], {"w": weight(8, 5), "b": weight(5)}, ROWS),
    "hard_swish": ([node("HardSigmoid", "x", "p", alpha=1 / 6, beta=0.5), node("Mul", "x p", "y")], {}, ROWS),
    "gelu": (gelu("plain"), {name: GELU_WEIGHTS[name] for name in ("root", "one", "half")}, ROWS),
    "layer_norm": (
        [*layer_norm(18, power=True, divide=True), node("Add", "ns bias", "y")],
        {
            "eps": np.float32(1e-5),
            "scale": weight(8),
            "two": np.float32(2),
            "bias": weight(8),
            "axes": np.asarray([-1]),
        },
        (2, 5, 8),
    ),
}


@pytest.mark.parametrize("switch", sorted(SWITCHED))
def test_each_fusion_is_a_switch(tmp_path: Path, switch: str) -> None:
    nodes, weights, shape = SWITCHED[switch]
    if switch == "gelu":
        nodes = [node("Neg", "x", "r"), *nodes]
    switches: dict[str, Any] = {switch: False}
    assert len(fuse(tmp_path, nodes, shape, weights, **switches).graph.node) == len(nodes)
    folder = tmp_path / "on"
    folder.mkdir()
    assert len(fuse(folder, nodes, shape, weights).graph.node) < len(nodes)


@pytest.mark.parametrize("scope", [Scope(names=("second",)), Scope(names=("first",)), Scope(exclude=("MatMul",))])
def test_all_nodes_of_a_fusion_must_be_in_the_scope(tmp_path: Path, scope: Scope) -> None:
    nodes = [node("MatMul", "x w", "h", name="first"), node("Add", "h b", "y", name="second")]
    proto = fuse(tmp_path, nodes, ROWS, {"w": weight(8, 5), "b": weight(5)}, scope=scope)
    assert operators(proto) == ["MatMul", "Add"]


def test_a_value_that_is_needed_elsewhere_stops_a_fusion(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "h"), node("Add", "h b", "y")]
    outputs = [("y", None), ("h", None)]
    proto = fuse(tmp_path, nodes, ROWS, {"w": weight(8, 5), "b": weight(5)}, outputs=outputs)
    assert operators(proto) == ["MatMul", "Add"]


def test_a_shared_weight_is_copied_before_it_is_scaled(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a"),
        node("Mul", "a k", "b"),
        node("Conv", "b w", "y"),
    ]
    proto = fuse(tmp_path, nodes, IMAGE, {"w": weight(4, 4, 1, 1), "k": np.float32(3)})
    assert operators(proto) == ["Conv", "Conv"]
    np.testing.assert_array_equal(array_of(proto, "w"), weight(4, 4, 1, 1))
