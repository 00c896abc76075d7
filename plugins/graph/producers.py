"""Layers that can take over a scale and a shift for each output or input channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from .values import graph_of, integer, is_op, lazy, rank_of, set_input, sizes
from .workspace import Workspace

Array = NDArray[Any]
_FLOATS = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


@dataclass(frozen=True)
class Layer:
    """A Conv, ConvTranspose, Gemm or MatMul with constant weights.

    Attributes
    ----------
    weight
        The weight as stored: ``(O, I / group, *k)`` for Conv, ``(I, O / group, *k)`` for ConvTranspose,
        two axes for Gemm and MatMul.
    bias
        The bias as stored; None without one.
    outputs, inputs
        Channels of the result and of the input.
    """

    node: ir.Node
    weight: ir.TensorProtocol
    bias: ir.TensorProtocol | None
    outputs: int
    inputs: int
    group: int

    @property
    def rank(self) -> int:
        """Dimensions of the result; its channels are axis 1."""
        return len(self.weight.shape)


def layer_of(space: Workspace, node: ir.Node) -> Layer | str:
    """Read a node as a layer, or say why its weights cannot be rewritten; weights are not read."""
    if not is_op(node, "Conv", "ConvTranspose", "Gemm", "MatMul"):
        return f"{node.op_type} stands before it, which has no weights"
    weight = space.tensor(node.inputs[1])
    given = node.inputs[2] if len(node.inputs) > 2 else None
    bias = space.tensor(given)
    if weight is None:
        return "the weight of the layer is not a constant"
    if given is not None and bias is None:
        return "the bias of the layer is not a constant"
    if weight.dtype not in _FLOATS or (bias is not None and bias.dtype not in _FLOATS):
        return "the weights of the layer are not floating point"
    if is_op(node, "MatMul") and (len(weight.shape) != 2 or rank_of(node.inputs[0]) != 2):
        return "the MatMul is not known to multiply matrices of two dimensions"
    return _layer(node, weight, bias)


def _layer(node: ir.Node, weight: ir.TensorProtocol, bias: ir.TensorProtocol | None) -> Layer | str:
    axes = sizes(weight)
    group = integer(node, "group", 1)
    if is_op(node, "Conv"):
        outputs, inputs = axes[0], axes[1] * group
    elif is_op(node, "ConvTranspose"):
        outputs, inputs = axes[1] * group, axes[0]
    elif is_op(node, "Gemm") and integer(node, "transB", 0):
        outputs, inputs = axes[0], axes[1]
    else:
        outputs, inputs = axes[1], axes[0]
    if group < 1 or outputs % group or inputs % group:
        return "the groups of the layer do not divide its channels"
    return Layer(node, weight, bias, outputs, inputs, group)


def scale_outputs(layer: Layer, scale: Array) -> Array:
    """Give the weight whose results are multiplied by `scale`, of shape ``(outputs,)``, in float64."""
    weight = layer.weight.numpy().astype(np.float64)
    if is_op(layer.node, "ConvTranspose"):
        grouped = weight.reshape(layer.group, layer.inputs // layer.group, *weight.shape[1:])
        factors = scale.reshape(layer.group, 1, -1, *[1] * (weight.ndim - 2))
        scaled: Array = (grouped * factors).reshape(weight.shape)
        return scaled
    first = is_op(layer.node, "Conv") or bool(integer(layer.node, "transB", 0))
    factors = scale.reshape(-1, *[1] * (weight.ndim - 1)) if first else scale.reshape(1, -1)
    return np.asarray(weight * factors)


def scale_inputs(layer: Layer, scale: Array) -> Array:
    """Give the weight that multiplies its input by `scale`, of shape ``(inputs,)``, in float64."""
    weight = layer.weight.numpy().astype(np.float64)
    if is_op(layer.node, "Conv"):
        grouped = weight.reshape(layer.group, layer.outputs // layer.group, *weight.shape[1:])
        factors = scale.reshape(layer.group, 1, -1, *[1] * (weight.ndim - 2))
        return np.asarray((grouped * factors).reshape(weight.shape))
    transposed = bool(integer(layer.node, "transB", 0))
    return np.asarray(weight * (scale.reshape(1, -1) if transposed else scale.reshape(-1, 1)))


def sum_inputs(layer: Layer, shift: Array) -> Array:
    """Give what a constant input `shift`, of shape ``(inputs,)``, adds to the results; shape ``(outputs,)``."""
    shifted = scale_inputs(layer, shift)
    if is_op(layer.node, "Conv"):
        return np.asarray(shifted.reshape(layer.outputs, -1).sum(axis=1))
    transposed = bool(integer(layer.node, "transB", 0))
    return np.asarray(shifted.sum(axis=1 if transposed else 0))


def bias_of(layer: Layer) -> Array:
    """Give the bias in float64, ``beta`` of Gemm multiplied in; zeros of shape ``(outputs,)`` without one."""
    if layer.bias is None:
        return np.zeros(layer.outputs)
    beta = layer.node.attributes.get_float("beta", 1.0) if is_op(layer.node, "Gemm") else 1.0
    return np.asarray(layer.bias.numpy().astype(np.float64) * beta)


def absorb_output(space: Workspace, layer: Layer, scale: Array, shift: Array, detail: str) -> None:
    """Rewrite a layer in place so that it gives ``scale * y + shift`` instead of ``y``.

    Parameters
    ----------
    scale, shift
        Float64 of shape ``(outputs,)``.
    """
    if not bool((scale == 1).all()):
        _set_weight(space, layer, lambda: scale_outputs(layer, scale))
    _set_bias(space, layer, bias_of(layer) * scale + shift)
    _as_gemm(layer.node)
    space.rewritten(layer.node, detail)


def absorb_input(space: Workspace, layer: Layer, scale: Array, shift: Array, detail: str) -> None:
    """Rewrite a layer in place so that it takes ``x`` where it took ``scale * x + shift``; no padding."""
    if shift.any():
        alpha = layer.node.attributes.get_float("alpha", 1.0) if is_op(layer.node, "Gemm") else 1.0
        _set_bias(space, layer, bias_of(layer) + alpha * sum_inputs(layer, shift))
    if not bool((scale == 1).all()):
        _set_weight(space, layer, lambda: scale_inputs(layer, scale))
    _as_gemm(layer.node)
    space.rewritten(layer.node, detail)


def finite(layer: Layer, *arrays: Array) -> bool:
    """Say whether factors can be stored in the weights' dtype without overflow."""
    if layer.weight.dtype == ir.DataType.FLOAT16:
        return all(bool((np.abs(array) < 6e4).all()) for array in arrays)
    return all(bool(np.isfinite(array).all()) for array in arrays)


def _set_weight(space: Workspace, layer: Layer, make: Any) -> None:
    def checked() -> Array:
        space.reporter.check()
        return np.asarray(make())

    space.rewrite_weight(layer.node, 1, lazy(layer.weight, checked, sizes(layer.weight)))


def _set_bias(space: Workspace, layer: Layer, bias: Array) -> None:
    """Store a bias; it is a vector, so small that it is computed at once."""
    node = layer.node
    if layer.bias is None and not bias.any():
        return
    dtype = layer.weight.dtype
    tensor = ir.tensor(bias.astype(dtype.numpy()), dtype=dtype)
    if layer.bias is None:
        set_input(node, 2, space.initializer(graph_of(node), f"{node.outputs[0].name}_bias", tensor))
    else:
        space.rewrite_weight(node, 2, tensor)
    if is_op(node, "Gemm"):
        node.attributes.pop("beta", None)


def _as_gemm(node: ir.Node) -> None:
    """Make a MatMul that got a bias the Gemm that it is."""
    if is_op(node, "MatMul") and len(node.inputs) > 2:
        node.op_type = "Gemm"
