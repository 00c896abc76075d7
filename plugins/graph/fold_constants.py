"""Constant folding: computing now what depends on weights alone."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from .evaluate import FOLDABLE, evaluate, result_bytes
from .values import constant_tensor, graph_of, integer, is_op, only_reader, optional_integer, sizes, static_shape
from .workspace import SMALL, Workspace

#: elements of all inputs together up to which a result of unknown shape is computed to see its size
UNKNOWN_SIZE = 256


class Budget:
    """How many bytes folding may still add to the weights of a model; what it frees is given back."""

    def __init__(self, bytes_: int) -> None:
        self.left = bytes_

    def allows(self, result: int, freed: int) -> bool:
        """Say whether a result may be stored where `freed` bytes of weights go."""
        return result <= freed + max(self.left, 0)

    def spend(self, result: int, freed: int) -> None:
        """Book a result that was stored."""
        self.left -= result - freed


def lift_constants(space: Workspace) -> None:
    """Turn Constant nodes of the main graph into weights; one that is an output of the graph stays."""
    graph = space.model.graph
    for node in list(graph):
        if not is_op(node, "Constant") or not space.selects(node) or node.outputs[0].is_graph_output():
            continue
        tensor, name = constant_tensor(node), node.outputs[0].name
        if tensor is None or not name or name in graph.initializers:
            continue
        _store(space, node, tensor, "is a weight now")


def fold_constants(space: Workspace, budget: Budget, *, survey: bool, only: Container[ir.Node] | None = None) -> None:
    """Compute each node in the scope whose inputs are constants, and shapes that are known.

    Parameters
    ----------
    budget
        What the results may add to the size of the model.
    survey
        Whether large weights must not be read: their results are then made without content.
    only
        The nodes to look at; all in the scope when None.
    """
    for node in space.nodes():
        if not is_op(node, *FOLDABLE) or not space.selects(node) or (only is not None and node not in only):
            continue
        space.reporter.check()
        known = _known_shape(space, node)
        if known is not None:
            _store(space, node, ir.tensor(known), "is known from the shape")
        else:
            _fold(space, node, budget, survey=survey)


def _fold(space: Workspace, node: ir.Node, budget: Budget, *, survey: bool) -> None:
    tensors = [space.tensor(value) for value in node.inputs]
    if not node.inputs or any(t is None for t, value in zip(tensors, node.inputs, strict=True) if value is not None):
        return
    elements = sum(tensor.size for tensor in tensors if tensor is not None)
    freed = sum(_freed(value, node) for value in node.inputs)
    shape = static_shape(node.outputs[0])
    if elements > SMALL and shape is None:
        return
    small: list[NDArray[Any] | None] = [
        tensor.numpy() if tensor is not None and tensor.size <= SMALL else None for tensor in tensors
    ]
    expected = result_bytes(node, small)
    if not _affordable(expected, budget, freed, elements):
        return
    if elements > SMALL and survey:
        _store(space, node, _without_content(node, shape or ()), "depends on constants alone")
        budget.spend(expected or 0, freed)
        return
    result = evaluate(node, space.opset, [None if tensor is None else tensor.numpy() for tensor in tensors])
    if result is not None and budget.allows(result.nbytes, freed):
        _store(space, node, ir.tensor(result), "depends on constants alone")
        budget.spend(result.nbytes, freed)


def _affordable(expected: int | None, budget: Budget, freed: int, elements: int) -> bool:
    """Say whether a result may be computed; one of unknown size only where its inputs are tiny."""
    return elements <= UNKNOWN_SIZE if expected is None else budget.allows(expected, freed)


def _known_shape(space: Workspace, node: ir.Node) -> NDArray[np.int64] | None:
    """Give the result of Shape, Size, or Gather of a Shape, where the dimensions it needs are fixed."""
    source = node.inputs[0] if node.inputs else None
    if source is None:
        return None
    if node.op_type in ("Shape", "Size"):
        dims = _dims(node)
        if dims is None or not all(isinstance(size, int) for size in dims):
            return None
        known = np.asarray(dims, dtype=np.int64)
        return known if node.op_type == "Shape" else np.asarray(known.prod(dtype=np.int64))
    producer = source.producer()
    if node.op_type != "Gather" or not is_op(producer, "Shape") or producer is None:
        return None
    dims, indices = _dims(producer), space.array(node.inputs[1])
    if dims is None or indices is None or not all(-len(dims) <= index < len(dims) for index in indices.reshape(-1)):
        return None
    picked = [dims[int(index)] for index in indices.reshape(-1)]
    if not all(isinstance(size, int) for size in picked):
        return None
    return np.asarray(picked, dtype=np.int64).reshape(indices.shape)


def _dims(node: ir.Node) -> list[int | ir.SymbolicDim] | None:
    source = node.inputs[0]
    if source is None or source.shape is None:
        return None
    start, end = integer(node, "start", 0), optional_integer(node, "end")
    return list(source.shape)[start:end] if node.op_type == "Shape" else list(source.shape)


def _store(space: Workspace, node: ir.Node, tensor: ir.TensorProtocol, detail: str) -> None:
    """Put a tensor in the place of a node: a weight of its name, or a Constant where it is an output."""
    space.discoveries += not is_op(node, "Constant")
    graph, old = graph_of(node), node.outputs[0]
    if old.is_graph_output():
        _make_constant(space, node, tensor, detail)
        return
    name = old.name or space.fresh("constant")
    space.explain(node, detail)
    value = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(sizes(tensor)), const_value=tensor)
    old.replace_all_uses_with(value)
    space.remove(node, detail)
    graph.register_initializer(value)


def _make_constant(space: Workspace, node: ir.Node, tensor: ir.TensorProtocol, detail: str) -> None:
    constant = ir.node("Constant", [], {"value": tensor}, name=node.name)
    new, old = constant.outputs[0], node.outputs[0]
    new.name, new.type, new.shape = old.name, old.type, old.shape
    graph_of(node).insert_before(node, constant)
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    space.remove(node, detail)
    space.rewritten(constant, detail)


def _freed(value: ir.Value | None, node: ir.Node) -> int:
    """Give the bytes of a weight that only this node reads, so that it goes with the node."""
    if value is None or value.const_value is None or only_reader(value) is not node:
        return 0
    return value.const_value.nbytes


def _without_content(node: ir.Node, shape: tuple[int, ...]) -> ir.LazyTensor:
    def refuse() -> ir.TensorProtocol:
        raise RuntimeError("a survey does not compute weights")

    return ir.LazyTensor(refuse, node.outputs[0].dtype or ir.DataType.FLOAT, ir.Shape(shape))
