"""Putting a chain of small layers in a layer's place; the node itself becomes the last of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from .decompose import Factors
from .layers import Layer
from .tidy import Names, drop_unused

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: attributes of a convolution that say how it walks
_WALK = ("kernel_shape", "strides", "pads", "dilations", "auto_pad")


class Rewriter:
    """Rewrites layers of one model; names that it makes are unique."""

    def __init__(self, model: ir.Model) -> None:
        self._graph = model.graph
        self._names = Names(model)

    def replace(self, layer: Layer, factors: Factors, bias: NDArray[Any] | None) -> list[str]:
        """Put factors in a layer's place.

        Parameters
        ----------
        bias
            The corrected bias where the layer's `bias_node` takes one; None leaves the old one.

        Returns
        -------
        list of str
            Names of the nodes that were added.
        """
        old = layer.weight.node.inputs[layer.weight.index]
        build = self._convolutions if layer.linear.window is not None else self._products
        added = build(layer, factors)
        if bias is not None:
            self._set_bias(layer, bias)
        drop_unused(old)
        return added

    def _products(self, layer: Layer, factors: Factors) -> list[str]:
        first, second = factors.arrays
        node, left = layer.weight.node, layer.linear.left
        gemm = node.op_type == "Gemm"
        attributes: list[ir.Attr] = []
        weight = self._constant(layer, first if left else first.T, "first")
        operands = [weight, layer.weight.other] if left else [layer.weight.other, weight]
        flag = "transB" if left else "transA"
        if gemm and flag in node.attributes:
            attributes.append(ir.AttrInt64(flag, node.attributes[flag].as_int()))
        before = self._insert(layer, node.op_type, operands, attributes, "first")
        last = self._constant(layer, second if left else second.T, "second")
        node.replace_input_with(layer.weight.index, last)
        node.replace_input_with(1 - layer.weight.index, before.outputs[0])
        for name in ("transA", "transB", "alpha"):
            node.attributes.pop(name, None)
        return [str(before.name)]

    def _convolutions(self, layer: Layer, factors: Factors) -> list[str]:
        node = layer.weight.node
        walks = _walks(layer, factors)
        arrays = [_as_kernel(array, len(layer.linear.shape)) for array in factors.arrays]
        value, added = layer.weight.other, []
        for part, (array, walk) in enumerate(zip(arrays[:-1], walks[:-1], strict=True)):
            label = "first" if part == 0 else "second"
            before = self._insert(layer, "Conv", [value, self._constant(layer, array, label)], walk, label)
            value = before.outputs[0]
            added.append(str(before.name))
        node.replace_input_with(0, value)
        node.replace_input_with(1, self._constant(layer, arrays[-1], "last"))
        for name in _WALK:
            node.attributes.pop(name, None)
        for attribute in walks[-1]:
            node.attributes.add(attribute)
        return added

    def _insert(
        self, layer: Layer, operator: str, inputs: Sequence[ir.Value | None], attributes: list[ir.Attr], label: str
    ) -> ir.Node:
        node, dtype = layer.weight.node, layer.weight.tensor.dtype
        output = ir.Value(name=self._names.unique(f"{layer.name}_{label}_out"), type=ir.TensorType(dtype))
        name = self._names.unique(f"{layer.name}_{label}")
        made = ir.Node("", operator, inputs, attributes, outputs=[output], name=name)
        self._graph.insert_before(node, made)
        return made

    def _constant(self, layer: Layer, array: NDArray[Any], label: str) -> ir.Value:
        return self._initializer(array, layer.weight.tensor.dtype, f"{layer.name}_{label}_weight")

    def _initializer(self, array: NDArray[Any], dtype: ir.DataType, name: str) -> ir.Value:
        import numpy as np

        stored = np.ascontiguousarray(array, dtype=np.float32 if dtype != ir.DataType.DOUBLE else np.float64)
        tensor = ir.Tensor(stored.astype(dtype.numpy()), dtype=dtype, name=self._names.unique(name))
        value = ir.Value(name=tensor.name, const_value=tensor, type=ir.TensorType(dtype), shape=tensor.shape)
        self._graph.register_initializer(value)
        return value

    def _set_bias(self, layer: Layer, bias: NDArray[Any]) -> None:
        node, index = layer.bias_node, layer.bias_index
        assert node is not None
        old = node.inputs[index] if index < len(node.inputs) else None
        shape = [int(str(size)) for size in old.const_value.shape] if old is not None and old.const_value else [-1]
        value = self._initializer(bias.reshape(shape), layer.weight.tensor.dtype, f"{layer.name}_bias")
        if index >= len(node.inputs):
            node.resize_inputs(index + 1)
        node.replace_input_with(index, value)
        if node.op_type == "Gemm":
            node.attributes.pop("beta", None)
        drop_unused(old)


def _as_kernel(array: NDArray[Any], rank: int) -> NDArray[Any]:
    return array.reshape(*array.shape, *(1,) * (rank - array.ndim))


def _walks(layer: Layer, factors: Factors) -> list[list[ir.Attr]]:
    """Give the attributes of each convolution of the chain."""
    node, window = layer.weight.node, layer.linear.window
    assert window is not None
    still: list[ir.Attr] = [ir.AttrInt64s("kernel_shape", [1] * len(window.kernel))]
    whole = [node.attributes[name] for name in _WALK if name in node.attributes and name != "kernel_shape"]
    whole = [ir.AttrInt64s("kernel_shape", list(window.kernel)), *whole]
    if factors.kind == "matrix":
        return [whole, still]
    if factors.kind == "tucker":
        return [still, whole, still]
    return [_along(layer, 0), _along(layer, 1)]


def _along(layer: Layer, axis: int) -> list[ir.Attr]:
    """Walk along one of two spatial axes only."""
    window = layer.linear.window
    assert window is not None

    def only(values: Sequence[int], rest: int) -> list[int]:
        return [value if index % 2 == axis else rest for index, value in enumerate(values)]

    attributes: list[ir.Attr] = [
        ir.AttrInt64s("kernel_shape", only(window.kernel, 1)),
        ir.AttrInt64s("strides", only(window.strides, 1)),
        ir.AttrInt64s("dilations", only(window.dilations, 1)),
    ]
    if window.auto_pad in ("", "NOTSET"):
        return [*attributes, ir.AttrInt64s("pads", only(window.pads, 0))]
    return [*attributes, ir.AttrString("auto_pad", window.auto_pad)]
