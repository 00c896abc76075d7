"""Layouts: Transposes that cancel, and inputs and outputs in another layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from studio.api import Scope
from studio.core.interface import changes_of
from tests.passes.graph.harness import ROOT, apply, graph, node, operators, save, survey, verified, weight

NHWC, NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
IMAGE = (2, 6, 5, 3)
Nodes = Sequence[onnx.NodeProto]


def lay_out(
    tmp_path: Path,
    nodes: Nodes,
    weights: dict[str, Any],
    shape: tuple[Any, ...] = IMAGE,
    opset: int = 17,
    **params: Any,
) -> onnx.ModelProto:
    """Apply the pass to ``x -> y`` with every check of the harness."""
    outputs = params.pop("outputs", [("y", None)])
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", shape)], outputs, weights), opset=opset)
    feed = weight(*[size if isinstance(size, int) else 2 for size in shape], seed=3)
    return apply("graph.layout", path, {"x": feed}, **params)[1]


def convolution(source: str, target: str, index: int) -> list[onnx.NodeProto]:
    """Give a Conv between Transposes, as exporters of channels-last frameworks write it."""
    return [
        node("Transpose", source, f"i{index}", perm=NCHW),
        node("Conv", f"i{index} w{index}", f"c{index}", pads=[1, 1, 1, 1]),
        node("Transpose", f"c{index}", target, perm=NHWC),
    ]


def counted(proto: onnx.ModelProto) -> int:
    return operators(proto).count("Transpose")


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_transposes_around_convolutions_cancel(tmp_path: Path, opset: int) -> None:
    nodes = [
        *convolution("x", "a", 0),
        node("Add", "a bias", "b"),
        node("Relu", "b", "r"),
        *convolution("r", "d", 1),
        node("Mul", "scale d", "e"),
        node("Add", "e r", "f"),
        *convolution("f", "y", 2),
    ]
    weights = {f"w{index}": weight(3, 3, 3, 3, seed=index) for index in range(3)}
    weights |= {"bias": weight(3), "scale": weight(1, 1, 3)}
    proto = lay_out(tmp_path, nodes, weights, opset=opset)
    assert counted(proto) == 2
    assert proto.graph.output[0].name == "y"


@pytest.mark.parametrize(
    ("between", "weights"),
    [
        ([node("Concat", "a a", "b", axis=3)], {}),
        ([node("Concat", "a a", "b", axis=-2)], {}),
        ([node("Softmax", "a", "b", axis=-1)], {}),
        ([node("ReduceMean", "a", "b", axes=[1, 2])], {}),
        ([node("Clip", "a low high", "b")], {"low": np.float32(0), "high": np.float32(1)}),
        ([node("Where", "m a zero", "b")], {"m": np.asarray([True, False, True]), "zero": np.float32(0)}),
        ([node("QuantizeLinear", "a s", "q"), node("DequantizeLinear", "q s", "b")], {"s": np.float32(0.02)}),
        ([node("Add", "a k", "b")], {"k": weight(6, 5, 3)}),
    ],
)
def test_axes_and_constants_follow(tmp_path: Path, between: Nodes, weights: dict[str, Any]) -> None:
    nodes = [node("Transpose", "x", "a", perm=NHWC), *between, node("Transpose", "b", "y", perm=NCHW)]
    assert counted(lay_out(tmp_path, nodes, weights, (2, 3, 6, 5))) == 0


def test_what_minds_the_order_stays(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", "x", "a", perm=NHWC),
        node("Reshape", "a s", "b"),
        node("Transpose", "b", "y", perm=NCHW),
    ]
    proto = lay_out(tmp_path, nodes, {"s": np.asarray([2, 5, 6, 3])}, (2, 3, 6, 5))
    assert counted(proto) == 2


def test_no_more_transposes_are_made_than_go(tmp_path: Path) -> None:
    nodes = [node("Transpose", "x", "a", perm=NHWC), node("Relu", "a", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3, 6, 5))], [("y", None)]))
    result, _ = apply("graph.layout", path, {"x": weight(2, 3, 6, 5)})
    assert not result.changes


def test_a_tensor_read_by_others_keeps_its_order_for_them(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", "x", "a", perm=NHWC),
        node("Transpose", "z", "k", perm=NHWC),
        node("Add", "a k", "b"),
        node("Transpose", "b", "y", perm=NCHW),
        node("Flatten", "b", "flat"),
    ]
    shape = (2, 3, 6, 5)
    main = graph(nodes, [("x", shape), ("z", shape)], [("y", None), ("flat", None), ("b", None)])
    path = save(tmp_path / "m.onnx", main)
    _, proto = apply("graph.layout", path, {"x": weight(*shape), "z": weight(*shape, seed=1)})
    assert counted(proto) == 1


def test_nodes_outside_the_scope_stay(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", "x", "a", name="first", perm=NHWC),
        node("Relu", "a", "b", name="relu"),
        node("Transpose", "b", "y", name="last", perm=NCHW),
    ]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3, 6, 5))], [("y", None)]))
    feeds = {"x": weight(2, 3, 6, 5)}
    assert counted(apply("graph.layout", path, feeds, Scope(names=("first", "last")))[1]) == 2


@pytest.mark.parametrize(("inputs", "outputs"), [("nchw", "keep"), ("nchw", "nchw"), ("keep", "nchw")])
def test_edges_turn_and_are_recorded(tmp_path: Path, inputs: str, outputs: str) -> None:
    nodes = [*convolution("x", "a", 0), node("Relu", "a", "y")]
    path = save(
        tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 6, 5, 3))], [("y", None)], {"w0": weight(3, 3, 3, 3)})
    )
    record = verified("graph.layout", path, inputs=inputs, outputs=outputs)
    assert record.verification is not None and (record.verification.sqnr_db or 999) > 100
    proto = onnx.load(str(record.artifact.path))
    assert counted(proto) == 2 - (inputs == "nchw") - (outputs == "nchw")
    changed = {change.name: change.order for change in changes_of(record.artifact)}
    assert changed == {name: (0, 3, 1, 2) for name, side in (("x", inputs), ("y", outputs)) if side != "keep"}
    shapes = [
        [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in proto.graph.input
    ]
    assert shapes == [["batch", 3, 6, 5] if inputs == "nchw" else ["batch", 6, 5, 3]]


def test_an_edge_of_that_layout_stays(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", graph([node("Relu", "x", "y")], [("x", (2, 3, 6, 5))], [("y", None)]))
    assert not survey("graph.layout", path, inputs="nchw").applies
    assert survey("graph.layout", path, inputs="nhwc").applies


def test_branches_are_laid_out_for_themselves(tmp_path: Path) -> None:
    turned = [
        node("Transpose", "x", "t", perm=NHWC),
        node("Relu", "t", "r"),
        node("Transpose", "r", "then_y", perm=NCHW),
    ]
    other = [node("Transpose", "outer", "u", perm=NCHW), node("Neg", "u", "else_y")]
    branches = {
        "then_branch": graph(turned, [], [("then_y", (2, 3, 6, 5))], name="then"),
        "else_branch": graph(other, [], [("else_y", (2, 3, 6, 5))], name="else"),
    }
    nodes = [node("Transpose", "x", "outer", perm=NHWC), node("If", "c", "y", **branches)]
    main = graph(nodes, [("x", (2, 3, 6, 5)), ("c", (), onnx.TensorProto.BOOL)], [("y", (2, 3, 6, 5))])
    path = save(tmp_path / "m.onnx", main)
    for condition in (True, False):
        folder = tmp_path / str(condition)
        folder.mkdir()
        (folder / "m.onnx").write_bytes(path.read_bytes())
        feeds = {"x": weight(2, 3, 6, 5), "c": np.asarray(condition)}
        _, proto = apply("graph.layout", folder / "m.onnx", feeds)
        then = next(one.g for one in proto.graph.node[-1].attribute if one.name == "then_branch")
        assert [one.op_type for one in then.node] == ["Relu"]


def test_weights_of_a_convolution_model_of_real_size(tmp_path: Path) -> None:
    """The bundled sample with pictures channels last at both ends of a part of it: nothing else changes."""
    path = tmp_path / "m.onnx"
    path.write_bytes((ROOT / "assets" / "samples" / "mnist-resnet.onnx").read_bytes())
    record = verified("graph.layout", path, inputs="nhwc")
    assert record.verification is not None and record.verification.top1_agreement == 1.0
    assert [change.after.shape for change in changes_of(record.artifact)] == [("batch", 28, 28, 1)]
