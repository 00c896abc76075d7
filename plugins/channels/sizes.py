"""Sizes of the axes of every tensor, found without reading weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

DOMAINS = ("", "ai.onnx")
#: elements of a constant above which it is not looked into: shapes, axes and indices are smaller
SMALL = 4096

#: the size of one axis: a number, a symbol (equal symbols are equal sizes), or unknown
Size = int | str | None
Sizes = dict[str, tuple[Size, ...]]


def is_op(node: ir.Node | None, *operators: str) -> bool:
    """Say whether a node is one of these operators of the ONNX standard."""
    return node is not None and node.op_type in operators and node.domain in DOMAINS


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """Give the tensor of an initializer or of a Constant node, unread; None for anything else."""
    if value is None:
        return None
    node = value.producer()
    if node is None:
        return value.const_value
    if not is_op(node, "Constant"):
        return None
    for name, attribute in node.attributes.items():
        if attribute.is_ref():
            return None
        if name == "value":
            return attribute.as_tensor()
        kinds: dict[str, Any] = {"value_float": np.float32, "value_floats": np.float32}
        kinds |= {"value_int": np.int64, "value_ints": np.int64}
        if name in kinds:
            return ir.tensor(np.asarray(attribute.value, dtype=kinds[name]))
    return None


def tensor_sizes(tensor: ir.TensorProtocol) -> tuple[int, ...]:
    """Give the shape of a tensor as numbers."""
    return tuple(size if isinstance(size, int) else int(str(size)) for size in tensor.shape)


def small_integers(value: ir.Value | None) -> NDArray[Any] | None:
    """Read a small constant of integers: a shape, axes, indices."""
    tensor = constant(value)
    if tensor is None or tensor.dtype not in (ir.DataType.INT64, ir.DataType.INT32):
        return None
    return np.asarray(tensor.numpy()) if math.prod(tensor_sizes(tensor)) <= SMALL else None


def find_sizes(model: ir.Model) -> Sizes:
    """Find the sizes of the tensors of the main graph: what the model says, and what shape inference finds."""
    found: Sizes = {}
    values = [value for node in model.graph for value in node.outputs]
    if any(value.shape is None for value in values if value.name):
        found = _inferred(model)
    for value in (*model.graph.inputs, *values):
        if value.shape is not None and value.name:
            own = tuple(_size(dim) for dim in value.shape)
            other = found.get(value.name)
            found[value.name] = own if other is None or len(other) != len(own) else _better(own, other)
    for name, value in model.graph.initializers.items():
        if value.const_value is not None:
            found[name] = tensor_sizes(value.const_value)
    return found


def _better(own: tuple[Size, ...], other: tuple[Size, ...]) -> tuple[Size, ...]:
    return tuple(
        mine if isinstance(mine, int) or (not isinstance(theirs, int) and mine is not None) else theirs
        for mine, theirs in zip(own, other, strict=True)
    )


def _size(dim: int | ir.SymbolicDim) -> Size:
    if isinstance(dim, int):
        return dim if dim >= 0 else None
    return dim.value or None


def _inferred(model: ir.Model) -> Sizes:
    import onnx

    try:
        proto = onnx.shape_inference.infer_shapes(_skeleton(model), data_prop=True)
    except Exception:  # what inference does not understand stays unknown, and with it the groups that touch it
        return {}
    found: Sizes = {}
    for info in (*proto.graph.value_info, *proto.graph.output):
        if info.type.HasField("tensor_type") and info.type.tensor_type.HasField("shape"):
            dims = info.type.tensor_type.shape.dim
            found[info.name] = tuple(
                dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or None
                for dim in dims
            )
    return found


def _skeleton(model: ir.Model) -> onnx.ModelProto:
    """Give the model without the content of large weights: they are inputs in it."""
    import onnx
    from onnx_ir import serde

    proto = onnx.ModelProto(ir_version=max(model.ir_version or 8, 4))
    proto.opset_import.extend(onnx.helper.make_opsetid(name, version) for name, version in model.opset_imports.items())
    for function in model.functions.values():
        proto.functions.append(serde.serialize_function(function))
    graph = proto.graph
    graph.name = "skeleton"
    given = set()
    for value in model.graph.inputs:
        graph.input.append(serde.serialize_value(value))
        given.add(value.name)
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is None or value.name in given:
            continue
        if _is_shape_like(tensor):
            graph.initializer.append(serde.serialize_tensor(_named(tensor, str(value.name))))
        else:
            graph.input.append(_as_input(str(value.name), tensor))
    for node in model.graph:
        tensor = constant(node.outputs[0]) if is_op(node, "Constant") else None
        if tensor is not None and not _is_shape_like(tensor):
            graph.input.append(_as_input(str(node.outputs[0].name), tensor))
        else:
            graph.node.append(serde.serialize_node(node))
    graph.output.extend(serde.serialize_value(value) for value in model.graph.outputs)
    return proto


def _is_shape_like(tensor: ir.TensorProtocol) -> bool:
    return (tensor.dtype in (ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL) and tensor.size <= SMALL) or (
        tensor.size <= 8
    )


def _named(tensor: ir.TensorProtocol, name: str) -> ir.TensorProtocol:
    return ir.Tensor(tensor.numpy(), name=name, dtype=tensor.dtype)


def _as_input(name: str, tensor: ir.TensorProtocol) -> onnx.ValueInfoProto:
    import onnx

    return onnx.helper.make_tensor_value_info(name, int(tensor.dtype), tensor_sizes(tensor))
