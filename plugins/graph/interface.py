"""Changing a model's inputs and outputs, with the record that data follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from studio.api import METADATA, InterfaceChange, TensorInfo, changes_text, parse_changes


def describe(value: ir.Value) -> TensorInfo:
    """Describe an input or output as it is declared."""
    shape = None
    if value.shape is not None:
        shape = tuple(size if isinstance(size, int) else size.value for size in value.shape)
    dtype = value.dtype.numpy().name if value.dtype is not None else "unknown"
    return TensorInfo(name=str(value.name), dtype=dtype, shape=shape)


def ordered(info: TensorInfo, order: Sequence[int]) -> TensorInfo:
    """Give a tensor with its axes in another order."""
    if not order or info.shape is None:
        return info
    return info.model_copy(update={"shape": tuple(info.shape[axis] for axis in order)})


def turn(value: ir.Value, info: TensorInfo) -> None:
    """Declare an input or output as another shape and type."""
    value.shape = ir.Shape(info.shape or ())
    value.type = ir.TensorType(ir.DataType.from_numpy(np.dtype(info.dtype)))


def record(model: ir.Model, change: InterfaceChange) -> None:
    """Write a change into the model's metadata, after those that are there."""
    earlier = parse_changes(model.metadata_props.get(METADATA, ""))
    model.metadata_props[METADATA] = changes_text((*earlier, change))
