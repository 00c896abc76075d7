"""Computing a node from constants, with ONNX's reference implementation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

#: Operators that are folded: shape arithmetic, data movement and element-wise arithmetic. Quantize and
#: Dequantize stay for the sake of later passes, ConstantOfShape because its result is larger than it.
FOLDABLE = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "Cast",
        "Ceil",
        "Concat",
        "Cos",
        "Div",
        "Equal",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Floor",
        "Gather",
        "Gemm",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Log",
        "MatMul",
        "Max",
        "Mean",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Pad",
        "Pow",
        "Range",
        "Reciprocal",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Relu",
        "Reshape",
        "ScatterND",
        "Shape",
        "Sigmoid",
        "Sign",
        "Sin",
        "Size",
        "Slice",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "Tanh",
        "Tile",
        "Transpose",
        "Trilu",
        "Unsqueeze",
        "Where",
        "Xor",
    ]
)
#: the number types that numpy computes as ONNX does
_TYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
)


def evaluate(node: ir.Node, opset: int, inputs: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Compute the only output of a node.

    Parameters
    ----------
    node
        A node of an operator in `FOLDABLE`.
    opset
        Version of the standard operator set.
    inputs
        Its inputs; None for those that are left out.

    Returns
    -------
    ndarray or None
        None where it cannot be computed, or not surely as a runtime would.
    """
    import onnx.reference.ops

    if len(node.outputs) != 1 or any(value is not None and value.dtype.name not in _TYPES for value in inputs):
        return None
    if node.op_type in ("Div", "Mod") and not _plain_division(inputs):
        return None
    attributes = {name: attribute.value for name, attribute in node.attributes.items() if not attribute.is_ref()}
    if len(attributes) != len(node.attributes):
        return None
    try:
        with np.errstate(all="ignore"):
            operator: Any = onnx.reference.ops.load_op("", node.op_type, opset)
            result = operator.eval(*inputs, **attributes)
    except Exception:
        return None
    return _checked(node, result)


def result_bytes(node: ir.Node, inputs: list[NDArray[Any] | None]) -> int | None:
    """Give the bytes of the result before it is computed, where its shape or its inputs tell; None elsewhere."""
    output = node.outputs[0]
    item = output.dtype.itemsize if output.dtype is not None else 8
    if output.shape is not None and all(isinstance(size, int) for size in output.shape):
        return int(math.prod(int(size) for size in output.shape if isinstance(size, int)) * item)
    elements = _elements(node.op_type, inputs)
    return None if elements is None else int(elements * item)


def _elements(operator: str, inputs: list[NDArray[Any] | None]) -> int | None:
    """Bound the elements of the results whose size lies in the inputs' content."""
    data = inputs[0]
    control = inputs[1] if len(inputs) > 1 else None
    if data is None:
        return None
    if operator in ("Expand", "Tile") and control is not None:
        return data.size * math.prod(abs(int(size)) for size in control.reshape(-1))
    if operator == "Pad" and control is not None:
        return (data.size + 1) * math.prod(1 + abs(int(size)) for size in control.reshape(-1))
    if operator == "Range":
        return _steps(inputs)
    if operator in ("Expand", "Tile", "Pad"):
        return None
    return math.prod(value.size or 1 for value in inputs if value is not None and value.ndim)


def _steps(inputs: list[NDArray[Any] | None]) -> int | None:
    numbers = [float(value.reshape(-1)[0]) for value in inputs if value is not None and value.size == 1]
    if len(numbers) != 3 or not numbers[2]:
        return None
    return math.ceil(abs((numbers[1] - numbers[0]) / numbers[2])) + 1


def _plain_division(inputs: list[NDArray[Any] | None]) -> bool:
    """Say whether a division is one on which numpy and the runtimes agree: of floats, or of positive integers."""
    numbers = [value for value in inputs if value is not None]
    if any(value.dtype.kind == "f" for value in numbers):
        return True
    return all(bool((value >= 0).all()) for value in numbers) and bool(numbers[-1].all())


def _checked(node: ir.Node, result: Any) -> NDArray[Any] | None:
    if isinstance(result, tuple) and len(result) == 1:
        result = result[0]
    if not isinstance(result, np.ndarray | np.generic):
        return None
    array = np.ascontiguousarray(result).reshape(np.shape(result))
    output = node.outputs[0]
    if array.dtype.name not in _TYPES:
        return None
    if output.dtype is not None and ir.DataType.from_numpy(array.dtype) != output.dtype:
        return None
    return array if _fits(output.shape, array.shape) else None


def _fits(shape: ir.Shape | None, found: tuple[int, ...]) -> bool:
    if shape is None:
        return True
    return len(shape) == len(found) and all(
        not isinstance(want, int) or want == have for want, have in zip(shape, found, strict=True)
    )
