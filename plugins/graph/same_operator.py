"""Operators of which two versions differ in nothing but the types that they allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_ir as ir

from .values import is_op

if TYPE_CHECKING:
    import onnx

#: Operators whose meaning no version changed where the signature stayed the same. Softmax, Resize and the
#: pools are not among them: theirs changed under one signature.
STEADY = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "BatchNormalization",
        "Cast",
        "Ceil",
        "Clip",
        "Concat",
        "Conv",
        "ConvTranspose",
        "Div",
        "Dropout",
        "Equal",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Floor",
        "Gather",
        "Gemm",
        "Greater",
        "Identity",
        "LeakyRelu",
        "Less",
        "Log",
        "MatMul",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Not",
        "Pow",
        "Reciprocal",
        "ReduceMean",
        "Relu",
        "Reshape",
        "Shape",
        "Sigmoid",
        "Sign",
        "Slice",
        "Sqrt",
        "Sub",
        "Tanh",
        "Tile",
        "Transpose",
        "Where",
    ]
)

#: ONNX's own names of types in its operators' signatures
_NAMES = {
    ir.DataType.FLOAT: "float",
    ir.DataType.DOUBLE: "double",
    ir.DataType.FLOAT16: "float16",
    ir.DataType.BFLOAT16: "bfloat16",
    ir.DataType.BOOL: "bool",
    **{ir.DataType[name.upper()]: name for name in ("int8", "int16", "int32", "int64")},
    **{ir.DataType[name.upper()]: name for name in ("uint8", "uint16", "uint32", "uint64")},
}


def version_of(node: ir.Node, opset: int) -> int:
    """Give the version of a node's operator in an operator set; 0 where it has none."""
    import onnx

    try:
        return int(onnx.defs.get_schema(node.op_type, opset, "").since_version)
    except onnx.defs.SchemaError:
        return 0


def same_but_types(node: ir.Node, opset: int, other: int) -> bool:
    """Say whether a node of `opset` may stand in `other` as it is."""
    import onnx

    if not is_op(node, *STEADY) or not version_of(node, opset) or not version_of(node, other):
        return False
    mine, theirs = (onnx.defs.get_schema(node.op_type, version, "") for version in (opset, other))
    if mine.since_version == theirs.since_version:
        return True
    arity = theirs.min_input <= len(node.inputs) <= theirs.max_input and len(node.outputs) <= theirs.max_output
    return arity and _same_attributes(node, mine, theirs) and _types_allowed(node, theirs)


def _same_attributes(node: ir.Node, mine: onnx.defs.OpSchema, theirs: onnx.defs.OpSchema) -> bool:
    """Say whether what the node sets exists there, and what it leaves out means the same."""
    for name in {*mine.attributes, *theirs.attributes}:
        here, there = mine.attributes.get(name), theirs.attributes.get(name)
        if name in node.attributes and there is None and node.attributes[name].value != _default(here):
            return False
        if name not in node.attributes and there is not None and here is not None and _default(here) != _default(there):
            return False
        if name not in node.attributes and here is None and there is not None and there.required:
            return False
    return True


def _default(attribute: onnx.defs.OpSchema.Attribute | None) -> object:
    import onnx

    proto = attribute.default_value if attribute is not None else None
    return onnx.helper.get_attribute_value(proto) if proto is not None and proto.type else None


def _types_allowed(node: ir.Node, schema: onnx.defs.OpSchema) -> bool:
    for index, value in enumerate(node.inputs):
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        if value is not None and (value.dtype is None or f"tensor({_NAMES.get(value.dtype)})" not in formal.types):
            return False
    return True
