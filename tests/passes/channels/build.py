"""A builder of nasty models: the same seed gives the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from .truth import Feeds


class Net:
    """Nodes and weights of a model that is being built; tensors are named by what makes them."""

    def __init__(self, *, opset: int = 18, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, NDArray[Any]] = {}
        self.inputs: dict[str, tuple[list[int | str], int]] = {}
        self.feeds: Feeds = {}

    def input(self, name: str, shape: Sequence[int | str], dtype: int = onnx.TensorProto.FLOAT, most: int = 0) -> str:
        """Add an input; named dimensions are 2 in what it is fed with."""
        self.inputs[name] = (list(shape), dtype)
        sizes = [size if isinstance(size, int) else 2 for size in shape]
        self.feeds[name] = (
            self.random.integers(0, most, sizes) if most else self.random.standard_normal(sizes).astype(np.float32)
        )
        return name

    def op(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node."""
        number = len(self.nodes)
        name = f"{operator.lower()}{number}"
        names = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, name, **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, *shape: int, positive: bool = False) -> str:
        """Add a random weight."""
        name = f"w{len(self.weights)}"
        array = self.random.standard_normal(shape) / max(1.0, float(np.prod(shape[1:]))) ** 0.5
        self.weights[name] = (np.abs(array) + 0.5 if positive else array).astype(np.float32)
        return name

    def ints(self, *numbers: int) -> str:
        """Add a constant vector of integers."""
        name = f"i{len(self.weights)}"
        self.weights[name] = np.asarray(numbers, dtype=np.int64)
        return name

    def scalar(self, number: float | int) -> str:
        """Add a constant scalar."""
        name = f"s{len(self.weights)}"
        self.weights[name] = np.asarray(number, dtype=np.int64 if isinstance(number, int) else np.float32)
        return name

    def conv(
        self, x: str, inputs: int, outputs: int, kernel: int = 3, group: int = 1, dims: int = 2, **more: Any
    ) -> str:
        """Add a convolution that keeps the size of space."""
        weight = self.weight(outputs, inputs // group, *[kernel] * dims)
        pads = more.pop("pads", [kernel // 2] * 2 * dims)
        return str(self.op("Conv", x, weight, self.weight(outputs), pads=pads, group=group, **more))

    def norm(self, x: str, channels: int) -> str:
        """Add a batch normalization."""
        rest = [
            self.weight(channels),
            self.weight(channels),
            self.weight(channels),
            self.weight(channels, positive=True),
        ]
        return str(self.op("BatchNormalization", x, *rest))

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        """Add a MatMul with a bias."""
        return str(self.op("Add", self.op("MatMul", x, self.weight(inputs, outputs)), self.weight(outputs)))

    def head(self, x: str, channels: int) -> str:
        """Add global pooling and a classifier."""
        pooled = self.op("Flatten", self.op("GlobalAveragePool", x))
        return str(self.op("Gemm", pooled, self.weight(channels, 5), self.weight(5)))

    def model(self, *outputs: str) -> ir.Model:
        """Make the model."""
        inputs = [helper.make_tensor_value_info(name, dtype, shape) for name, (shape, dtype) in self.inputs.items()]
        results = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
        weights = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(self.nodes, "net", inputs, results, weights)
        proto = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)],
            ir_version=8,
        )
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        for value in proto.graph.output:
            if not value.type.tensor_type.HasField("shape"):  # which the checker refuses
                value.CopyFrom(helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, ["N", 5]))
        return ir.from_proto(proto)


def check(net: Net, *outputs: str, seed: int = 0, share: float = 0.4) -> tuple[Any, Any, ir.Model]:
    """Prove that silent units can be removed from a net without a trace."""
    from .truth import removed_without_trace

    return removed_without_trace(net.model(*outputs), net.feeds, seed=seed, share=share)
