"""Pairs of models that compute the same, of which the second is slower for one reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests import models

CHANNELS, SIDE = 64, 56
SHAPE = [1, CHANNELS, SIDE, SIDE]


def values(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(shape) / 8).astype(np.float32)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    """Make a node that is named after its output."""
    return helper.make_node(operator, inputs.split(), output.split(), output.split()[0], **attributes)


def build(nodes: list[onnx.NodeProto], **weights: NDArray[Any]) -> onnx.ModelProto:
    return models.model(nodes, {"x": SHAPE}, {nodes[-1].output[0]: SHAPE}, dict(weights))


def depthwise() -> onnx.ModelProto:
    """A convolution that no engine has an integer kernel of its own for, on this operator."""
    return build(
        [node("Conv", "x w", "conv", group=CHANNELS, pads=[1, 1, 1, 1]), node("Relu", "conv", "y")],
        w=values(CHANNELS, 1, 3, 3),
    )


def dynamic() -> onnx.ModelProto:
    """`depthwise`, quantized dynamically."""
    integers = np.random.default_rng(0).integers(-60, 60, (CHANNELS, 1, 3, 3)).astype(np.int8)
    return build(
        [
            node("DynamicQuantizeLinear", "x", "q scale zero"),
            node("ConvInteger", "q w zero", "conv_quant", group=CHANNELS, pads=[1, 1, 1, 1]),
            node("Cast", "conv_quant", "float", to=TensorProto.FLOAT),
            node("Mul", "scale ws", "scales"),
            node("Mul", "float scales", "conv"),
            node("Relu", "conv", "y"),
        ],
        w=integers,
        ws=np.array(0.002, np.float32),
    )


def residual() -> onnx.ModelProto:
    """Two convolutions; the second, the addition and the activation run as one kernel."""
    return build(
        [
            node("Conv", "x w1", "first", pads=[1, 1, 1, 1]),
            node("Conv", "first w2", "second", pads=[1, 1, 1, 1]),
            node("Add", "second first", "sum"),
            node("Relu", "sum", "y"),
        ],
        w1=values(CHANNELS, CHANNELS, 3, 3),
        w2=values(CHANNELS, CHANNELS, 3, 3, seed=1),
    )


def broken() -> onnx.ModelProto:
    """`residual` with its second convolution in QDQ form: the addition stays in float, alone."""
    weights = np.random.default_rng(1).integers(-60, 60, (CHANNELS, CHANNELS, 3, 3)).astype(np.int8)
    return build(
        [
            node("Conv", "x w1", "first", pads=[1, 1, 1, 1]),
            node("QuantizeLinear", "first s z", "q"),
            node("DequantizeLinear", "q s z", "d"),
            node("DequantizeLinear", "w2 sw zw", "dw"),
            node("Conv", "d dw", "second_float", pads=[1, 1, 1, 1]),
            node("QuantizeLinear", "second_float s z", "q2"),
            node("DequantizeLinear", "q2 s z", "second"),
            node("Add", "second first", "sum"),
            node("Relu", "sum", "y"),
        ],
        w1=values(CHANNELS, CHANNELS, 3, 3),
        w2=weights,
        s=np.array(0.05, np.float32),
        z=np.array(128, np.uint8),
        sw=np.array(0.002, np.float32),
        zw=np.array(0, np.int8),
    )


def pointwise() -> onnx.ModelProto:
    """A convolution of one pixel."""
    return build([node("Conv", "x w", "conv"), node("Relu", "conv", "y")], w=values(CHANNELS, CHANNELS, 1, 1))


def transposed() -> onnx.ModelProto:
    """`pointwise` as a MatMul over the last axis, between two transposes."""
    return build(
        [
            node("Transpose", "x", "last", perm=[0, 2, 3, 1]),
            node("MatMul", "last w", "product"),
            node("Transpose", "product", "conv", perm=[0, 3, 1, 2]),
            node("Relu", "conv", "y"),
        ],
        w=np.ascontiguousarray(values(CHANNELS, CHANNELS, 1, 1)[:, :, 0, 0].T),
    )


def activated(operator: str) -> onnx.ModelProto:
    """A convolution and an activation of some operator."""
    return build([node("Conv", "x w", "conv"), node(operator, "conv", "y")], w=values(CHANNELS, CHANNELS, 1, 1))
