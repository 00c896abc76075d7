"""Models with dynamic shapes, as exporters write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.passes.graph.harness import FLOAT, graph, node, save, weight

INT64, BOOL = onnx.TensorProto.INT64, onnx.TensorProto.BOOL
SAMPLE = Path(__file__).parents[3] / "assets" / "samples" / "mnist-resnet.onnx"
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, dtype=np.int64)


def encoder(path: Path, opset: int = 17, *, batch: int | str = "batch", seq: int | str = "seq") -> Path:
    """One attention head that reshapes by shape arithmetic: `x` [batch, seq, 8] -> `y` [batch, seq, 8]."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "b", axis=0),
        node("Gather", "shape one", "s", axis=0),
        *(_unsqueeze(opset, name) for name in ("b", "s")),
        node("MatMul", "x wq", "q", name="query"),
        node("Concat", "b1 s1 heads", "split", axis=0),
        node("Reshape", "q split", "qh", name="split"),
        node("Transpose", "qh", "qt", perm=[0, 2, 1, 3]),
        node("Transpose", "qh", "kt", perm=[0, 2, 3, 1]),
        node("MatMul", "qt kt", "scores", name="scores"),
        node("Softmax", "scores", "p", axis=-1),
        node("MatMul", "p qt", "ctx", name="context"),
        node("Transpose", "ctx", "back", perm=[0, 2, 1, 3]),
        node("Concat", "b1 s1 width", "join", axis=0),
        node("Reshape", "back join", "flat", name="join"),
        node("Add", "flat x", "y", name="residual"),
    ]
    weights = {"wq": weight(8, 8), "zero": np.int64(0), "one": np.int64(1), "heads": ints(2, 4), "width": ints(8)}
    if opset >= 13:
        weights["axis0"] = ints(0)
    return save(path, graph(nodes, [("x", (batch, seq, 8))], [("y", (batch, seq, 8))], weights), opset=opset)


def _unsqueeze(opset: int, name: str) -> onnx.NodeProto:
    if opset >= 13:
        return node("Unsqueeze", f"{name} axis0", f"{name}1")
    return node("Unsqueeze", name, f"{name}1", axes=[0])


def detector(path: Path, batch: int | str = "batch") -> Path:
    """A tiny text detector with unnamed sides: a deep map is resized to the size of a shallow one.

    `x` [batch, 3, ?, ?] -> `map` [batch, 1, ?, ?].
    """
    nodes = [
        node("Conv", "x w1", "c1", name="stem", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", "c1", "r1"),
        node("Conv", "r1 w2", "c2", name="deep", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Shape", "c1", "shape"),
        node("Slice", "shape two four zero", "sides"),
        node("Shape", "c2", "deep_shape"),
        node("Slice", "deep_shape zero two zero", "lead"),
        node("Concat", "lead sides", "target", axis=0),
        node("Resize", "c2 - - target", "up", name="up", mode="nearest"),
        node("Concat", "up c1", "both", name="both", axis=1),
        node("Conv", "both w3", "c3", name="head"),
        node("Sigmoid", "c3", "map", name="map"),
    ]
    weights = {
        "w1": weight(4, 3, 3, 3),
        "w2": weight(4, 4, 3, 3),
        "w3": weight(1, 8, 1, 1),
        "zero": ints(0),
        "two": ints(2),
        "four": ints(4),
    }
    return save(path, graph(nodes, [("x", (batch, 3, None, None))], [("map", (batch, 1, None, None))], weights))  # type: ignore[list-item]


def recurrent(path: Path, operator: str = "LSTM", batch: int | str = 1, *, states: bool = True) -> Path:
    """A recurrent layer with constant initial states of the batch: `x` [5, batch, 3] -> `y` [5, 1, batch, 4]."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator]
    weights = {"w": weight(1, gates * 4, 3), "r": weight(1, gates * 4, 4)}
    first = "x w r"
    if states and isinstance(batch, int):
        weights["h"] = np.broadcast_to(weight(1, 1, 4), (1, batch, 4)).copy()
        first += " - - h"
        if operator == "LSTM":
            weights["c"] = np.zeros((1, batch, 4), np.float32)
            first += " c"
    nodes = [node(operator, first, "y", name="recurrent", hidden_size=4)]
    return save(path, graph(nodes, [("x", (5, batch, 3))], [("y", (5, 1, batch, 4))], weights))


def conditional(path: Path) -> Path:
    """An If whose branches use the shape of an outer tensor: `x` [n, 4], `c` bool -> `y` [n, 4]."""
    then = [node("Shape", "x", "s"), node("Reshape", "x s", "t", name="inner")]
    other = [node("Neg", "x", "e")]
    branches = {
        "then_branch": helper.make_graph(then, "then", [], [helper.make_tensor_value_info("t", FLOAT, ["n", 4])]),
        "else_branch": helper.make_graph(other, "else", [], [helper.make_tensor_value_info("e", FLOAT, ["n", 4])]),
    }
    nodes = [node("If", "c", "q", name="if", **branches), node("Relu", "q", "y")]
    return save(path, graph(nodes, [("x", ("n", 4)), ("c", (), BOOL)], [("y", ("n", 4))]))


def looping(path: Path) -> Path:
    """A Loop that adds its input three times: `x` [n, 4] -> `y` [n, 4]."""
    body = helper.make_graph(
        [
            node("Identity", "go", "on"),
            node("Shape", "x", "s"),
            node("Expand", "one s", "ones"),
            node("Mul", "x ones", "step"),
            node("Add", "acc step", "next", name="add"),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("acc", FLOAT, ["n", 4]),
        ],
        [helper.make_tensor_value_info("on", BOOL, []), helper.make_tensor_value_info("next", FLOAT, ["n", 4])],
    )
    weights = {"count": np.int64(3), "yes": np.asarray(True), "one": np.ones(1, np.float32)}
    nodes = [node("Loop", "count yes x", "y", name="loop", body=body)]
    return save(path, graph(nodes, [("x", ("n", 4))], [("y", ("n", 4))], weights))
