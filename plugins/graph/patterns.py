"""Small steps to walk a graph backwards when looking for a pattern."""

from __future__ import annotations

import math

import onnx_ir as ir

from .values import is_op, only_reader, rank_of
from .workspace import Workspace


def made_by(value: ir.Value | None, reader: ir.Node, *operators: str) -> ir.Node | None:
    """Give the node of one of these operators that makes a value for `reader` alone, in the same graph."""
    node = value.producer() if value is not None else None
    if value is None or node is None or node.graph is not reader.graph or not is_op(node, *operators):
        return None
    return node if all(use.node is reader for use in value.uses()) and not value.is_graph_output() else None


def number(space: Workspace, constant: ir.Value | None, beside: ir.Value | None) -> float | None:
    """Give a constant number that stands beside another operand and does not raise its rank."""
    tensor, rank = space.tensor(constant), rank_of(beside)
    if tensor is None or (len(tensor.shape) > 0 and (rank is None or rank < len(tensor.shape))):
        return None
    return space.scalar(constant)


def operand(space: Workspace, node: ir.Node | None, wanted: float, tolerance: float = 1e-6) -> ir.Value | None:
    """Give the other input of a two-input node where one input is the constant `wanted`."""
    if node is None or len(node.inputs) != 2:
        return None
    first, second = node.inputs
    for constant, other in ((second, first), (first, second)):
        found = number(space, constant, other)
        if found is not None and math.isclose(found, wanted, rel_tol=tolerance):
            return other
    return None


def rounding(value: ir.Value | None) -> float:
    """Give the relative tolerance within which a constant of this value's type stands for a number."""
    half = value is not None and value.dtype in (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
    return 5e-3 if half else 1e-6


def replace(space: Workspace, nodes: list[ir.Node], new: ir.Node, detail: str) -> bool:
    """Put one node in the place of several; the last of them gives its output name and node name.

    Parameters
    ----------
    nodes
        The old nodes, each made for the ones after it alone; the last one's output is replaced.
    """
    last = nodes[-1]
    old, made = last.outputs[0], new.outputs[0]
    made.name, made.type, made.shape = old.name, old.type, old.shape
    space.insert(last, new, detail)
    old.replace_all_uses_with(made, replace_graph_outputs=True)
    for node in reversed(nodes):
        if node is not last:
            space.explain(node, f"merged into {new.name}")
        if node.graph is not None and not any(value.uses() or value.is_graph_output() for value in node.outputs):
            space.remove(node, f"merged into {new.name}")
    return True


def single(value: ir.Value | None, reader: ir.Node) -> bool:
    """Say whether only `reader` reads a value, once."""
    return value is not None and only_reader(value) is reader
