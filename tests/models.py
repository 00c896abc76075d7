"""Builders of small ONNX models; the same seed gives the same model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Maker = Callable[[], onnx.ModelProto]

OPSET = 17
IR_VERSION = 8


def mlp(inputs: int = 8, hidden: int = 16, outputs: int = 4, *, seed: int = 0) -> onnx.ModelProto:
    """Gemm, Relu, Gemm: `image` float32 [batch, inputs] -> `logits` float32 [batch, outputs]."""
    random = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Gemm", ["image", "w1", "b1"], ["h"], "fc1"),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["logits"], "fc2"),
    ]
    weights = {
        "w1": _normal(random, inputs, hidden),
        "b1": _normal(random, hidden),
        "w2": _normal(random, hidden, outputs),
        "b2": _normal(random, outputs),
    }
    return model(nodes, {"image": ["batch", inputs]}, {"logits": ["batch", outputs]}, weights)


def cnn(channels: int = 4, classes: int = 3, *, seed: int = 0) -> onnx.ModelProto:
    """Conv, Relu, GlobalAveragePool, Flatten, Gemm: `image` float32 [batch, 1, 8, 8] -> `logits` [batch, classes]."""
    random = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["logits"], "fc"),
    ]
    weights = {
        "w1": _normal(random, channels, 1, 3, 3),
        "b1": _normal(random, channels),
        "w2": _normal(random, channels, classes),
        "b2": _normal(random, classes),
    }
    return model(nodes, {"image": ["batch", 1, 8, 8]}, {"logits": ["batch", classes]}, weights)


def branching(*, seed: int = 0) -> onnx.ModelProto:
    """A Constant node with weights, then an If whose branch has weights of its own: `x` [1, 8], `b` bool -> `y`."""
    random = np.random.default_rng(seed)
    result = [helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 8])]
    other = [helper.make_tensor_value_info("e", TensorProto.FLOAT, [1, 8])]
    then = helper.make_graph(
        [helper.make_node("Add", ["m", "tw"], ["t"], "add")],
        "then",
        [],
        result,
        [numpy_helper.from_array(_normal(random, 8), "tw")],
    )
    otherwise = helper.make_graph([helper.make_node("Identity", ["m"], ["e"], "same")], "else", [], other)
    constant = numpy_helper.from_array(_normal(random, 8, 8), "value")
    nodes = [
        helper.make_node("Constant", [], ["c"], "constant", value=constant),
        helper.make_node("MatMul", ["x", "c"], ["m"], "matmul"),
        helper.make_node("If", ["b"], ["y"], "if", then_branch=then, else_branch=otherwise),
    ]
    proto = model(nodes, {"x": [1, 8]}, {"y": [1, 8]}, {})
    proto.graph.input.append(helper.make_tensor_value_info("b", TensorProto.BOOL, []))
    return proto


def model(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
    weights: dict[str, NDArray[Any]],
) -> onnx.ModelProto:
    """Make a model with float32 inputs and outputs of the given shapes."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def save(proto: onnx.ModelProto, path: Path) -> Path:
    """Write a model that stands alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, str(path))
    return path


def save_external(proto: onnx.ModelProto, path: Path, location: str = "weights.data") -> Path:
    """Write a model with every weight, those of attributes too, in one file beside it."""
    weights = path.parent / location
    weights.parent.mkdir(parents=True, exist_ok=True)
    # onnx would append to what is there.
    weights.unlink(missing_ok=True)
    onnx.save(proto, str(path), save_as_external_data=True, location=location, size_threshold=0, convert_attribute=True)
    return path


def _normal(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.standard_normal(shape).astype(np.float32)
