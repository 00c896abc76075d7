"""Small models for the tests of runtimes, with feeds for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from studio.api import Artifact, open_artifact

Feeds = dict[str, NDArray[Any]]
FLOAT = TensorProto.FLOAT
Shape = Sequence[int | str | None] | None


@dataclass(frozen=True)
class Case:
    """A model and what to feed it."""

    name: str
    proto: onnx.ModelProto
    feeds: Feeds
    tolerance: float = 1e-5
    #: the runtimes that may refuse it with an error
    optional: frozenset[str] = field(default=frozenset())

    def save(self, folder: Path) -> Artifact:
        return save(self.proto, folder, self.name)


def save(proto: onnx.ModelProto, folder: Path, name: str = "model") -> Artifact:
    """Write a model and open it."""
    path = folder / f"{name}.onnx"
    onnx.save(proto, str(path))
    return open_artifact(path)


def value(name: str, shape: Shape, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: Sequence[onnx.TensorProto] = (),
    *,
    opset: int = 17,
    ir_version: int = 9,
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    """Make a model without checking it: some tests need wrong ones."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(initializers))
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


def node(operator: str, inputs: list[str], outputs: list[str], name: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, outputs, name=name or f"{operator}_{outputs[0]}", **attributes)


def random(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def conv(batch: int | str = "batch") -> onnx.ModelProto:
    """Conv, Relu and a linear layer: ``image`` float32 [batch, 3, 8, 8] to ``logits`` float32 [batch, 5]."""
    return model(
        [
            node("Conv", ["image", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
            node("Relu", ["c"], ["r"], "relu"),
            node("ReduceMean", ["r"], ["p"], "pool", axes=[2, 3], keepdims=0),
            node("Gemm", ["p", "v"], ["logits"], "fc"),
        ],
        [value("image", [batch, 3, 8, 8])],
        [value("logits", [batch, 5])],
        [
            numpy_helper.from_array(random(8, 3, 3, 3), "w"),
            numpy_helper.from_array(random(8), "b"),
            numpy_helper.from_array(random(8, 5), "v"),
        ],
    )


def conditional() -> onnx.ModelProto:
    def branch(name: str, operator: str) -> onnx.GraphProto:
        return helper.make_graph([node(operator, ["x"], [f"{name}_y"], name)], name, [], [value(f"{name}_y", ["n", 4])])

    made = node("If", ["which"], ["y"], "if", then_branch=branch("then", "Exp"), else_branch=branch("other", "Neg"))
    return model([made], [value("x", ["n", 4]), value("which", [], TensorProto.BOOL)], [value("y", ["n", 4])])


def loop() -> onnx.ModelProto:
    """``y = x + 1`` so many times as ``count`` says."""
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"], "keep"), node("Add", ["before", "one"], ["after"], "step")],
        "body",
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("before", ["n"])],
        [value("go_on", [], TensorProto.BOOL), value("after", ["n"])],
    )
    return model(
        [node("Loop", ["count", "true", "x"], ["y"], "loop", body=body)],
        [value("x", ["n"]), value("count", [], TensorProto.INT64)],
        [value("y", ["n"])],
        [numpy_helper.from_array(np.array(True), "true"), numpy_helper.from_array(np.ones(1, np.float32), "one")],
    )


def lstm() -> onnx.ModelProto:
    return model(
        [node("LSTM", ["x", "w", "r"], ["y", "h"], "lstm", hidden_size=3)],
        [value("x", ["time", "batch", 2])],
        [value("y", ["time", 1, "batch", 3]), value("h", [1, "batch", 3])],
        [numpy_helper.from_array(random(1, 12, 2), "w"), numpy_helper.from_array(random(1, 12, 3), "r")],
    )


def unary(operator: str, kind: int, shape: Shape, *, result: int | None = None) -> onnx.ModelProto:
    return model([node(operator, ["x"], ["y"])], [value("x", shape, kind)], [value("y", shape, result or kind)])


def binary(operator: str, kind: int, shape: Shape) -> onnx.ModelProto:
    return model(
        [node(operator, ["a", "b"], ["y"])],
        [value("a", shape, kind), value("b", shape, kind)],
        [value("y", shape, kind)],
    )


def unknown_operator() -> onnx.ModelProto:
    made = node("Sparkle", ["x"], ["y"], "odd", domain="ai.custom")
    return model([made], [value("x", [1, 3])], [value("y", [1, 3])], domains=["ai.custom"])


def cases() -> list[Case]:
    """Models that every runtime is tried on; what only some need not do is marked optional."""
    rng = np.random.default_rng(1)
    ints = rng.integers(-9, 9, (2, 3))
    return [
        *(Case(f"conv-{batch}", conv(), {"image": random(batch, 3, 8, 8)}) for batch in (1, 3, 0)),
        Case("conv-static", conv(2), {"image": random(2, 3, 8, 8)}),
        Case("if-then", conditional(), {"x": random(2, 4), "which": np.array(True)}),
        Case("if-else", conditional(), {"x": random(2, 4), "which": np.array(False)}),
        Case("loop", loop(), {"x": random(3), "count": np.array(4)}),
        Case("loop-none", loop(), {"x": random(3), "count": np.array(0)}),
        Case("lstm", lstm(), {"x": random(5, 2, 2)}),
        Case("int64", binary("Mul", TensorProto.INT64, ["n", 3]), {"a": ints, "b": ints[:, ::-1]}),
        Case("bool", unary("Not", TensorProto.BOOL, ["n"]), {"x": np.array([True, False, True])}),
        Case(
            "float16",
            binary("Add", TensorProto.FLOAT16, [2, 3]),
            {"a": random(2, 3).astype(np.float16), "b": random(2, 3).astype(np.float16)},
            tolerance=2e-3,
        ),
        Case(
            "uint8",
            binary("Max", TensorProto.UINT8, [4]),
            {"a": np.arange(4, dtype=np.uint8), "b": np.full(4, 2, np.uint8)},
        ),
        Case("scalar", binary("Add", FLOAT, []), {"a": np.array(2.5, np.float32), "b": np.array(-1, np.float32)}),
        Case("rank-unknown", unary("Relu", FLOAT, None), {"x": random(2, 3, 4)}),
        Case(
            "empty-output",
            unary("NonZero", FLOAT, ["n"], result=TensorProto.INT64),
            {"x": np.zeros(3, np.float32)},
        ),
        Case(
            "string",
            unary("Identity", TensorProto.STRING, ["n"]),
            {"x": np.array(["first", "zweite"], object)},
            optional=frozenset({"openvino"}),
        ),
        Case("transposed-feed", unary("Relu", FLOAT, [4, 3]), {"x": random(3, 4).T}),
        Case("read-only-feed", unary("Relu", FLOAT, [3]), {"x": _read_only(random(3))}),
    ]


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
