"""Gelu written out, in its exact form and its tanh approximation."""

from __future__ import annotations

import math

import onnx_ir as ir

from .patterns import made_by, number, operand, replace, rounding
from .values import is_op
from .workspace import MICROSOFT, Workspace

FIRST_OPSET = 20
TANH_CUBIC = 0.044715


def fuse_gelu(space: Workspace, node: ir.Node, *, microsoft: bool = False) -> bool:
    """Merge ``0.5 * x * (1 + erf(x / sqrt 2))`` or its tanh form, in any order of the factors.

    Before operator set 20 there is only ONNX Runtime's own, where that is allowed.
    Hendrycks and Gimpel 2016, "Gaussian Error Linear Units".
    """
    standard = space.opset >= FIRST_OPSET
    if not is_op(node, "Mul") or not (standard or (microsoft and node.outputs[0].dtype == ir.DataType.FLOAT)):
        return False
    found = _factors(space, node)
    if found is None:
        return False
    source, bracket, nodes = found
    inner = operand(space, bracket, 1.0)
    for form, match in (("none", _erf), ("tanh", _tanh)):
        more = match(space, inner, bracket, source)
        if more is not None and space.selects(node, *nodes, *more):
            gelu = _gelu(source, form, standard=standard)
            return replace(space, [*more, *nodes, node], gelu, "stands for Gelu written out")
    return False


def _gelu(source: ir.Value, form: str, *, standard: bool) -> ir.Node:
    if standard:
        return ir.node("Gelu", [source], {"approximate": form})
    return ir.Node(MICROSOFT, "Gelu" if form == "none" else "FastGelu", [source], [])


def _factors(space: Workspace, node: ir.Node) -> tuple[ir.Value, ir.Node, list[ir.Node]] | None:
    """Split ``x * 0.5 * (1 + ...)`` into x, the Add, and the nodes between them and the last one."""
    whole = operand(space, node, 0.5)
    if whole is not None:
        product = made_by(whole, node, "Mul")
        return _split(product, None, [product]) if product is not None else None
    for half, other in ((0, 1), (1, 0)):
        scaled = made_by(node.inputs[half], node, "Mul")
        rest = operand(space, scaled, 0.5)
        if scaled is None or rest is None:
            continue
        bracket = made_by(rest, scaled, "Add")
        value = node.inputs[other]
        if bracket is not None and value is not None:
            return value, bracket, [bracket, scaled]
        bracket = made_by(value, node, "Add")
        if bracket is not None:
            return rest, bracket, [bracket, scaled]
    return None


def _split(
    product: ir.Node, value: ir.Value | None, nodes: list[ir.Node]
) -> tuple[ir.Value, ir.Node, list[ir.Node]] | None:
    for first, second in ((0, 1), (1, 0)):
        bracket, value = made_by(product.inputs[first], product, "Add"), product.inputs[second]
        inner = bracket.inputs if bracket is not None else ()
        if bracket is not None and value is not None and any(_is_curve(given) for given in inner):
            return value, bracket, [bracket, *nodes]
    return None


def _is_curve(value: ir.Value | None) -> bool:
    return value is not None and is_op(value.producer(), "Erf", "Tanh")


def _erf(space: Workspace, inner: ir.Value | None, bracket: ir.Node, source: ir.Value) -> list[ir.Node] | None:
    erf = made_by(inner, bracket, "Erf")
    scaled = made_by(erf.inputs[0], erf, "Div", "Mul") if erf is not None else None
    if erf is None or scaled is None:
        return None
    factor = math.sqrt(2) if scaled.op_type == "Div" else math.sqrt(0.5)
    divides = scaled.op_type == "Mul" or space.scalar(scaled.inputs[1]) is not None
    matches = operand(space, scaled, factor, rounding(source)) is source and divides
    return [scaled, erf] if matches else None


def _tanh(space: Workspace, inner: ir.Value | None, bracket: ir.Node, source: ir.Value) -> list[ir.Node] | None:
    """Match ``tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))``."""
    tanh = made_by(inner, bracket, "Tanh")
    scaled = made_by(tanh.inputs[0], tanh, "Mul") if tanh is not None else None
    total = operand(space, scaled, math.sqrt(2 / math.pi), rounding(source))
    added = made_by(total, scaled, "Add") if scaled is not None else None
    if tanh is None or scaled is None or added is None:
        return None
    for plain, cubic in ((0, 1), (1, 0)):
        weighted = made_by(added.inputs[cubic], added, "Mul")
        power = operand(space, weighted, TANH_CUBIC, rounding(source))
        cube = made_by(power, weighted, "Pow") if weighted is not None else None
        if weighted is None or cube is None or added.inputs[plain] is not source or cube.inputs[0] is not source:
            continue
        if number(space, cube.inputs[1], source) == 3:
            return [cube, weighted, added, scaled, tanh]
    return None
