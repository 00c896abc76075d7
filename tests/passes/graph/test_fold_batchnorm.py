"""BatchNormalization into the layers around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from studio.api import Device, Scope, open_artifact, read_model
from tests.passes.graph.harness import REGISTRY, apply, array_of, graph, node, operators, save, weight

FLOAT16, DOUBLE = onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE
NORM = "g b m v"


def norm(channels: int, suffix: str = "", dtype: Any = np.float32) -> dict[str, NDArray[Any]]:
    """Give the four parameters; the variance is positive."""
    names = [f"{name}{suffix}" for name in NORM.split()]
    arrays = [weight(channels, seed=10 + index, dtype=dtype) for index in range(4)]
    return {name: np.abs(a) + dtype(0.1) if name[0] in "gv" else a for name, a in zip(names, arrays, strict=True)}


def save_graph(
    path: Path, nodes: list[onnx.NodeProto], shape: tuple[Any, ...], weights: dict[str, Any], **more: Any
) -> Path:
    outputs = more.pop("outputs", [("y", None)])
    return save(path / "m.onnx", graph(nodes, [("x", shape, more.pop("dtype", 1))], outputs, weights), **more)


@pytest.mark.parametrize("opset", [11, 13, 14, 15, 17, 21, 24])
@pytest.mark.parametrize("bias", [True, False])
def test_into_conv(tmp_path: Path, opset: int, bias: bool) -> None:
    nodes = [
        node("Conv", "x w c" if bias else "x w", "h", pads=[1, 1, 1, 1]),
        node("BatchNormalization", f"h {NORM}", "y", epsilon=1e-3),
    ]
    weights = {"w": weight(6, 3, 3, 3), **({"c": weight(6)} if bias else {}), **norm(6)}
    path = save_graph(tmp_path, nodes, (2, 3, 5, 5), weights, opset=opset)
    result, proto = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5)})
    assert operators(proto) == ["Conv"]
    assert proto.graph.node[0].output == ["y"]
    assert {change.change for change in result.changes} == {"removed", "rewritten"}
    assert {tensor.name for tensor in proto.graph.initializer} == ({"w", "c"} if bias else {"w", "y_bias"})


@pytest.mark.parametrize(
    ("operator", "shape", "x", "attributes"),
    [
        ("Conv", (8, 2, 3, 3), (2, 4, 6, 6), {"group": 2, "strides": [2, 2]}),
        ("Conv", (4, 1, 3), (2, 4, 9), {"group": 4, "auto_pad": "SAME_UPPER"}),
        ("Conv", (5, 2, 2, 2, 2), (1, 2, 4, 4, 4), {"dilations": [2, 2, 2]}),
        ("ConvTranspose", (4, 3, 3, 3), (2, 4, 5, 5), {"group": 2, "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("ConvTranspose", (4, 6, 2), (2, 4, 5), {}),
        ("Gemm", (3, 5), (4, 3), {"alpha": 0.5}),
        ("Gemm", (5, 3), (4, 3), {"transB": 1, "beta": 2.0}),
        ("Gemm", (3, 5), (3, 4), {"transA": 1}),
        ("MatMul", (3, 5), (4, 3), {}),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_into_every_layer(
    tmp_path: Path, operator: str, shape: tuple[int, ...], x: tuple[int, ...], attributes: dict[str, Any], bias: bool
) -> None:
    channels = {"ConvTranspose": shape[1] * attributes.get("group", 1), "Conv": shape[0]}.get(operator, 5)
    has_bias = bias and operator != "MatMul"
    nodes = [
        node(operator, "x w c" if has_bias else "x w", "h", **attributes),
        node("BatchNormalization", f"h {NORM}", "y"),
    ]
    weights = {"w": weight(*shape), **({"c": weight(channels)} if has_bias else {}), **norm(channels)}
    path = save_graph(tmp_path, nodes, x, weights)
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(*x)})
    assert operators(proto) == ["Gemm" if operator == "MatMul" else operator]


@pytest.mark.parametrize("shape", [(1, 5), (4, 1), (4, 5), (1,), ()])
def test_the_bias_of_gemm_may_broadcast(tmp_path: Path, shape: tuple[int, ...]) -> None:
    nodes = [node("Gemm", "x w c", "h", beta=0.5), node("BatchNormalization", f"h {NORM}", "y")]
    weights = {"w": weight(3, 5), "c": np.asarray(weight(*shape), dtype=np.float32), **norm(5)}
    _, proto = apply("graph.fold-batchnorm", save_graph(tmp_path, nodes, (4, 3), weights), {"x": weight(4, 3)})
    assert operators(proto) == ["Gemm"]


@pytest.mark.parametrize(
    ("operator", "shape", "x", "attributes"),
    [
        ("Conv", (6, 4, 3, 3), (2, 4, 6, 6), {}),
        ("Conv", (6, 2, 3, 3), (2, 4, 6, 6), {"group": 2, "auto_pad": "VALID"}),
        ("Gemm", (4, 5), (3, 4), {"alpha": 0.5}),
        ("Gemm", (5, 4), (3, 4), {"transB": 1}),
        ("MatMul", (4, 5), (3, 4), {}),
    ],
)
def test_into_the_layer_after_it(
    tmp_path: Path, operator: str, shape: tuple[int, ...], x: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    nodes = [node("BatchNormalization", f"x {NORM}", "h"), node(operator, "h w", "y", **attributes)]
    path = save_graph(tmp_path, nodes, x, {"w": weight(*shape), **norm(4)})
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(*x)})
    assert operators(proto) == ["Gemm" if operator == "MatMul" else operator]
    folder = tmp_path / "off"
    folder.mkdir()
    path = save_graph(folder, nodes, x, {"w": weight(*shape), **norm(4)})
    assert not apply("graph.fold-batchnorm", path, {"x": weight(*x)}, into_next=False)[0].changes


def test_padding_is_in_the_way_only_of_a_shift(tmp_path: Path) -> None:
    nodes = [node("BatchNormalization", f"x {NORM}", "h"), node("Conv", "h w", "y", pads=[1, 1, 1, 1])]
    for shift, left in ((True, 2), (False, 1)):
        folder = tmp_path / str(shift)
        folder.mkdir()
        weights = {"w": weight(6, 4, 3, 3), **norm(4)}
        if not shift:
            weights |= {"b": np.zeros(4, np.float32), "m": np.zeros(4, np.float32)}
        _, proto = apply(
            "graph.fold-batchnorm", save_graph(folder, nodes, (2, 4, 6, 6), weights), {"x": weight(2, 4, 6, 6)}
        )
        assert len(proto.graph.node) == left


@pytest.mark.parametrize(("code", "dtype"), [(FLOAT16, np.float16), (DOUBLE, np.float64)])
def test_other_precisions(tmp_path: Path, code: int, dtype: Any) -> None:
    nodes = [node("Gemm", "x w", "h"), node("BatchNormalization", f"h {NORM}", "y")]
    weights = {"w": weight(3, 6, dtype=dtype), **norm(6, dtype=dtype)}
    path = save_graph(tmp_path, nodes, (4, 3), weights, dtype=code, opset=15)
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(4, 3, dtype=dtype)})
    assert array_of(proto, "w").dtype == dtype
    assert array_of(proto, "y_bias").dtype == dtype


CONV = [node("Conv", "x w", "h", name="conv"), node("BatchNormalization", f"h {NORM}", "y", name="bn")]


@pytest.mark.parametrize(
    ("nodes", "outputs", "reason"),
    [
        ([*CONV, node("Relu", "h", "z")], [("y", None), ("z", None)], "used elsewhere"),
        (CONV, [("y", None), ("h", None)], "used elsewhere"),
        ([node("Relu", "x", "h"), CONV[1], node("Relu", "y", "z")], [("z", None)], "which has no weights"),
        ([node("BatchNormalization", f"x {NORM}", "y")], [("y", None)], "no layer"),
        ([node("Neg", "w", "nw"), node("Conv", "x nw", "h"), CONV[1]], [("y", None)], "not a constant"),
        ([CONV[0], node("Neg", "g", "ng"), node("BatchNormalization", "h ng b m v", "y")], [("y", None)], "parameters"),
    ],
)
def test_what_cannot_be_folded_is_said(
    tmp_path: Path, nodes: list[onnx.NodeProto], outputs: list[Any], reason: str
) -> None:
    weights = {"w": weight(3, 3, 1, 1), **norm(3)}
    path = save_graph(tmp_path, nodes, (2, 3, 5, 5), weights, outputs=outputs)
    result, _ = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5)})
    assert not result.changes
    assert any(reason in text for text in result.warnings)


def test_a_model_without_any_is_nothing_to_do(tmp_path: Path) -> None:
    path = save_graph(tmp_path, [node("Relu", "x", "y")], (2, 3), {})
    result, _ = apply("graph.fold-batchnorm", path, {"x": weight(2, 3)})
    assert result.warnings == ("There is no BatchNormalization.",)


def test_training_mode_is_not_folded(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "h"), node("BatchNormalization", f"h {NORM}", "y rm rv", training_mode=1)]
    weights = {"w": weight(3, 3, 1, 1), **norm(3)}
    path = save_graph(tmp_path, nodes, (2, 3, 5, 5), weights, outputs=[("y", None), ("rm", None)])
    result, _ = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5)})
    assert any("training mode" in text for text in result.warnings)


def test_a_variance_that_is_not_finite_is_not_folded(tmp_path: Path) -> None:
    weights = {"w": weight(3, 3, 1, 1), **norm(3), "v": np.full(3, -1, np.float32)}
    path = save_graph(tmp_path, CONV, (2, 3, 5, 5), weights)
    result, _ = apply("graph.fold-batchnorm", path, None)
    assert any("not finite" in text for text in result.warnings)


def test_a_shared_weight_gets_a_copy_and_shared_parameters_stay(tmp_path: Path) -> None:
    nodes = [
        *CONV,
        node("Conv", "y w", "h2", name="conv2"),
        node("BatchNormalization", f"h2 {NORM}", "z", name="bn2"),
        node("Conv", "z w", "out", name="conv3"),
        node("Mul", "out g4", "q"),
    ]
    weights = {"w": weight(3, 3, 1, 1), **norm(3), "g4": np.float32(2)}
    path = save_graph(tmp_path, nodes, (2, 3, 5, 5), weights, outputs=[("q", None)])
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5)})
    assert operators(proto) == ["Conv", "Conv", "Conv", "Mul"]
    np.testing.assert_array_equal(array_of(proto, "w"), weight(3, 3, 1, 1))


def test_parameters_that_another_node_reads_stay(tmp_path: Path) -> None:
    nodes = [*CONV, node("Neg", "b", "n"), node("Reshape", "n s", "b2"), node("Add", "y b2", "z")]
    weights = {"w": weight(3, 3, 1, 1), **norm(3), "s": np.asarray([1, 3, 1, 1])}
    path = save_graph(tmp_path, nodes, (2, 3, 5, 5), weights, outputs=[("z", None)])
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5)})
    assert {tensor.name for tensor in proto.graph.initializer} == {"w", "b", "s", "y_bias"}


def test_weights_and_parameters_may_come_through_constant_and_identity(tmp_path: Path) -> None:
    constant = [
        node("Constant", "", name, value=onnx.numpy_helper.from_array(array))
        for name, array in norm(3).items()
        if name != "g"
    ]
    nodes = [
        *constant,
        node("Identity", "g0", "g"),
        node("Constant", "", "w0", value=onnx.numpy_helper.from_array(weight(3, 3, 1, 1))),
        node("Identity", "w0", "w"),
        *CONV,
    ]
    path = save_graph(tmp_path, nodes, (2, 3, 5, 5), {"g0": norm(3)["g"]})
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5)})
    assert operators(proto) == ["Conv"]


def test_a_weight_that_a_caller_may_replace_is_not_folded(tmp_path: Path) -> None:
    main = graph(CONV, [("x", (2, 3, 5, 5)), ("w", (3, 3, 1, 1))], [("y", None)], {"w": weight(3, 3, 1, 1), **norm(3)})
    result, _ = apply("graph.fold-batchnorm", save(tmp_path / "m.onnx", main), {"x": weight(2, 3, 5, 5)})
    assert any("not a constant" in text for text in result.warnings)


def test_before_ir_version_4_listed_weights_are_folded(tmp_path: Path) -> None:
    weights = {"w": weight(3, 3, 1, 1), **norm(3)}
    listed: list[Any] = [(name, array.shape) for name, array in weights.items()]
    main = graph(CONV, [("x", (2, 3, 5, 5)), *listed], [("y", None)], weights)
    path = save(tmp_path / "m.onnx", main, ir_version=3, opset=11)
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5)})
    assert operators(proto) == ["Conv"]
    assert [value.name for value in proto.graph.input] == ["x"]


def test_two_in_a_row_are_both_folded(tmp_path: Path) -> None:
    nodes = [*CONV, node("BatchNormalization", "y g2 b2 m2 v2", "z")]
    path = save_graph(
        tmp_path, nodes, (2, 3, 5, 5), {"w": weight(3, 3, 1, 1), **norm(3), **norm(3, "2")}, outputs=[("z", None)]
    )
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5)})
    assert operators(proto) == ["Conv"]


def test_inside_a_branch(tmp_path: Path) -> None:
    then = graph(CONV, [], [("y", None)], {"w": weight(3, 3, 1, 1), **norm(3)}, "then")
    other = graph([node("Neg", "x", "n")], [], [("n", None)], None, "else")
    nodes = [node("If", "c", "out", then_branch=then, else_branch=other)]
    main = graph(nodes, [("x", (2, 3, 5, 5)), ("c", (), 9)], [("out", None)])
    path = save(tmp_path / "m.onnx", main)
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5), "c": np.asarray(True)})
    inner = next(one.g for one in proto.graph.node[0].attribute if one.name == "then_branch")
    assert [one.op_type for one in inner.node] == ["Conv"]


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (Scope(names=("conv", "bn")), 1),
        (Scope(operators=("Conv", "BatchNormalization")), 1),
        (Scope(names=("bn",)), 2),
        (Scope(names=("conv",)), 2),
        (Scope(exclude=("Conv",)), 2),
        (Scope(patterns=("other*",)), 2),
    ],
)
def test_only_nodes_in_the_scope_are_touched(tmp_path: Path, scope: Scope, left: int) -> None:
    path = save_graph(tmp_path, CONV, (2, 3, 5, 5), {"w": weight(3, 3, 1, 1), **norm(3)})
    _, proto = apply("graph.fold-batchnorm", path, {"x": weight(2, 3, 5, 5)}, scope)
    assert len(proto.graph.node) == left


def test_the_survey_counts_and_expects(tmp_path: Path) -> None:
    path = save_graph(tmp_path, CONV, (2, 3, 5, 5), {"w": weight(3, 3, 1, 1), **norm(3)})
    one = REGISTRY.find("pass", "graph.fold-batchnorm")
    device = Device(runtime="r", id="CPU", name="cpu", kind="cpu")
    survey = one.survey(read_model(open_artifact(path)), one.Params(), device, Scope())
    assert survey.summary == "1 BatchNormalization into 1 Conv"
    assert set(survey.nodes) == {"conv", "bn"}
    assert survey.speed is not None and survey.speed.low <= 1 <= survey.speed.high
    assert survey.size is not None and survey.size.low < 1
