"""The small models that a machine is calibrated with, built here so that nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.core.machine.profile import KINDS, PRECISIONS, Kind, Precision

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

OPSET, IR_VERSION = 17, 8
#: elements of the models that convert
ELEMENTS = 1 << 20
#: side of the matrices that fit into the caches, and that do not (64 MB of weights)
CACHED, UNCACHED = 1024, 4096
#: operators in the chains whose times differ by dispatch only
FEW, MANY = 4, 64
#: operators whose cost for an element is measured: name to operator and attributes
CONVERSIONS = {
    "simple": "Add",
    "heavy": "Softmax",
    "quantize": "QuantizeLinear",
    "dequantize": "DequantizeLinear",
    "dynamic": "DynamicQuantizeLinear",
    "cast": "Cast",
}


@dataclass(frozen=True)
class Shape:
    """A chain of equal layers.

    Attributes
    ----------
    rows
        Rows of a matrix product; side of a convolution's input.
    channels
        Inputs and outputs of each layer, which are as many.
    kernel
        Side of a convolution's kernel; 0 for a matrix product.
    """

    layers: int
    rows: int
    channels: int
    kernel: int = 0
    depthwise: bool = False

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the chain."""
        if not self.kernel:
            return self.layers * self.rows * self.channels**2
        inputs = 1 if self.depthwise else self.channels
        return self.layers * self.rows**2 * self.channels * inputs * self.kernel**2

    @property
    def input(self) -> tuple[int, ...]:
        """Shape of the input."""
        return (1, self.channels, self.rows, self.rows) if self.kernel else (self.rows, self.channels)

    @property
    def weight(self) -> tuple[int, ...]:
        """Shape of each weight."""
        if not self.kernel:
            return (self.channels, self.channels)
        return (self.channels, 1 if self.depthwise else self.channels, self.kernel, self.kernel)


#: Sizes as in common networks, large enough that arithmetic decides, and short of a millisecond, so that many
#: inferences are over before another program takes the processor away.
SHAPES: dict[Kind, Shape] = {
    "gemm": Shape(2, 32, 512),
    "gemv": Shape(2, 1, CACHED),
    "conv": Shape(2, 14, 64, 3),
    "pointwise": Shape(4, 14, 128, 1),
    "depthwise": Shape(4, 28, 128, 3, depthwise=True),
}


@dataclass(frozen=True)
class Workload:
    """A model to time: `run_precision` is the hint that it is loaded with."""

    key: str
    model: onnx.ModelProto
    feeds: dict[str, NDArray[Any]]
    run_precision: str = "model"


def layer_workloads(kind: Kind) -> Iterator[tuple[Precision, Workload]]:
    """Build a chain of layers of one kind at each precision."""
    for precision in PRECISIONS:
        shape = SHAPES[kind]
        hint = "bf16" if precision == "bf16" else "model"
        yield precision, Workload(f"{kind} {precision}", _chain(shape, precision), _feeds(shape.input), hint)


def all_layers() -> Iterator[tuple[Kind, Iterator[tuple[Precision, Workload]]]]:
    """Give every kind with its workloads, built when asked for."""
    for kind in KINDS:
        yield kind, layer_workloads(kind)


def memory_workload(side: int) -> Workload:
    """Build one matrix times one row, which reads the matrix and does little else."""
    shape = Shape(1, 1, side)
    return Workload(f"read {4 * side * side} bytes", _chain(shape, "f32"), _feeds(shape.input))


def dispatch_workload(operators: int) -> Workload:
    """Build a chain of tiny operators that no engine can fuse."""
    shape = Shape(operators, 1, 8)
    return Workload(f"{operators} operators", _chain(shape, "f32"), _feeds(shape.input))


def conversion_workload(name: str) -> Workload:
    """Build one operator of `CONVERSIONS` over `ELEMENTS` elements."""
    import numpy as np
    from onnx import TensorProto, helper

    shape, kind = (1024, ELEMENTS // 1024), CONVERSIONS[name]
    weights: dict[str, NDArray[Any]] = {}
    inputs, outputs = ["x"], ["y"]
    attributes: dict[str, Any] = {}
    made = {"quantize": TensorProto.UINT8, "dynamic": TensorProto.UINT8, "cast": TensorProto.FLOAT16}
    if name in ("quantize", "dequantize"):
        inputs += ["scale", "zero"]
        weights = {"scale": np.float32(0.03) * np.ones((), np.float32), "zero": np.full((), 128, np.uint8)}
    elif name == "dynamic":
        outputs += ["y_scale", "y_zero"]
    elif name == "cast":
        attributes = {"to": TensorProto.FLOAT16}
    elif name == "simple":
        inputs.append("x2")
    feeds = {given: array for given in inputs if given not in weights for array in _feeds(shape).values()}
    if name == "dequantize":
        feeds = {"x": np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)}
    node = helper.make_node(kind, inputs, outputs, **attributes)
    model = _model([node], feeds, {"y": (made.get(name, TensorProto.FLOAT), shape)}, weights)
    if name == "dynamic":
        # An engine may leave out what nobody reads.
        model.graph.output.extend(
            [
                helper.make_tensor_value_info("y_scale", TensorProto.FLOAT, []),
                helper.make_tensor_value_info("y_zero", TensorProto.UINT8, []),
            ]
        )
    return Workload(name, model, feeds)


def _chain(shape: Shape, precision: Precision) -> onnx.ModelProto:
    from onnx import TensorProto, helper

    nodes: list[onnx.NodeProto] = []
    weights: dict[str, NDArray[Any]] = _scales() if precision.startswith("int8") else {}
    value = "x"
    if precision == "f16":
        nodes.append(helper.make_node("Cast", ["x"], ["x_half"], to=TensorProto.FLOAT16))
        value = "x_half"
    if precision == "int8":
        value = _round_trip(nodes, value, "x")
    for index in range(shape.layers):
        value = _LAYERS[precision](nodes, weights, shape, value, index)
    nodes.append(
        helper.make_node("Cast", [value], ["y"], to=TensorProto.FLOAT)
        if precision == "f16"
        else helper.make_node("Identity", [value], ["y"])
    )
    return _model(nodes, _feeds(shape.input), {"y": (TensorProto.FLOAT, shape.input)}, weights)


def _plain(nodes: list[onnx.NodeProto], weights: dict[str, NDArray[Any]], shape: Shape, value: str, index: int) -> str:
    weights[f"w{index}"] = _weight(shape, index)
    return _layer(nodes, shape, [value, f"w{index}"], index)


def _half(nodes: list[onnx.NodeProto], weights: dict[str, NDArray[Any]], shape: Shape, value: str, index: int) -> str:
    import numpy as np

    weights[f"w{index}"] = _weight(shape, index).astype(np.float16)
    return _layer(nodes, shape, [value, f"w{index}"], index)


def _static(nodes: list[onnx.NodeProto], weights: dict[str, NDArray[Any]], shape: Shape, value: str, index: int) -> str:
    """Add a layer between quantize-dequantize pairs, as static quantization leaves it."""
    from onnx import helper

    weights[f"w{index}"] = _codes(shape, index)
    nodes.append(helper.make_node("DequantizeLinear", [f"w{index}", "w_scale", "w_zero"], [f"w{index}_float"]))
    made = _layer(nodes, shape, [value, f"w{index}_float"], index)
    return _round_trip(nodes, made, f"y{index}")


def _dynamic(
    nodes: list[onnx.NodeProto], weights: dict[str, NDArray[Any]], shape: Shape, value: str, index: int
) -> str:
    """Add a layer that quantizes its input on every run, as dynamic quantization leaves it."""
    from onnx import TensorProto, helper

    weights[f"w{index}"] = _codes(shape, index)
    codes, scale, zero, product = (f"{name}{index}" for name in ("q", "s", "z", "p"))
    nodes.append(helper.make_node("DynamicQuantizeLinear", [value], [codes, scale, zero]))
    nodes.append(_integer_layer(shape, [codes, f"w{index}", zero, "w_zero"], product))
    nodes.append(helper.make_node("Cast", [product], [f"f{index}"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("Mul", [scale, "w_scale"], [f"ss{index}"]))
    nodes.append(helper.make_node("Mul", [f"f{index}", f"ss{index}"], [f"y{index}"]))
    return f"y{index}"


_LAYERS = {"f32": _plain, "bf16": _plain, "f16": _half, "int8": _static, "int8-dynamic": _dynamic}


def _layer(nodes: list[onnx.NodeProto], shape: Shape, inputs: list[str], index: int) -> str:
    from onnx import helper

    nodes.append(helper.make_node(*_operator(shape, ""), inputs, [f"l{index}"], **_attributes(shape)))
    return f"l{index}"


def _integer_layer(shape: Shape, inputs: list[str], output: str) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node(*_operator(shape, "Integer"), inputs, [output], **_attributes(shape))


def _operator(shape: Shape, suffix: str) -> tuple[str]:
    return (f"{'Conv' if shape.kernel else 'MatMul'}{suffix}",)


def _attributes(shape: Shape) -> dict[str, Any]:
    if not shape.kernel:
        return {}
    return {"pads": [shape.kernel // 2] * 4, "group": shape.channels if shape.depthwise else 1}


def _round_trip(nodes: list[onnx.NodeProto], value: str, name: str) -> str:
    from onnx import helper

    nodes.append(helper.make_node("QuantizeLinear", [value, "x_scale", "x_zero"], [f"{name}_codes"]))
    nodes.append(helper.make_node("DequantizeLinear", [f"{name}_codes", "x_scale", "x_zero"], [f"{name}_back"]))
    return f"{name}_back"


def _scales() -> dict[str, NDArray[Any]]:
    import numpy as np

    return {
        "x_scale": np.array(0.03, np.float32),
        "x_zero": np.array(128, np.uint8),
        "w_scale": np.array(0.001, np.float32),
        "w_zero": np.array(0, np.int8),
    }


def _weight(shape: Shape, index: int) -> NDArray[np.float32]:
    """Draw weights that keep the size of what passes through, so that nothing becomes denormal or infinite."""
    import numpy as np

    drawn = np.random.default_rng(index).standard_normal(shape.weight)
    inputs = shape.channels if not shape.kernel else np.prod(shape.weight[1:])
    scaled: NDArray[np.float32] = (drawn / np.sqrt(inputs)).astype(np.float32)
    return scaled


def _codes(shape: Shape, index: int) -> NDArray[np.int8]:
    """Draw 8-bit weights of 7 bits, which no instruction set saturates on."""
    import numpy as np

    return np.random.default_rng(index).integers(-63, 64, shape.weight).astype(np.int8)


def _feeds(shape: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    import numpy as np

    return {"x": np.random.default_rng(7).standard_normal(shape).astype(np.float32)}


def _model(
    nodes: list[onnx.NodeProto],
    feeds: dict[str, NDArray[Any]],
    outputs: dict[str, tuple[int, tuple[int, ...]]],
    weights: dict[str, NDArray[Any]],
) -> onnx.ModelProto:
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "workload",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feeds.items()
        ],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
