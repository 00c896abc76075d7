"""What can be read off nodes, values and attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

if TYPE_CHECKING:
    from numpy.typing import NDArray

STANDARD_DOMAINS = ("", "ai.onnx")


def is_op(node: ir.Node | None, *operators: str) -> bool:
    """Say whether a node is one of these operators of the ONNX standard."""
    return node is not None and node.op_type in operators and node.domain in STANDARD_DOMAINS


def graph_of(node: ir.Node) -> ir.Graph:
    """Give the graph that holds a node (never a function's body: those are left alone)."""
    if not isinstance(node.graph, ir.Graph):
        raise TypeError(f"{node.name} is not in a graph")
    return node.graph


def constant_tensor(node: ir.Node) -> ir.TensorProtocol | None:
    """Give the tensor of a Constant node, whichever attribute holds it; None for sparse ones."""
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


def integer(node: ir.Node, name: str, default: int) -> int:
    """Give an integer attribute."""
    found = optional_integer(node, name)
    return default if found is None else found


def optional_integer(node: ir.Node, name: str) -> int | None:
    """Give an integer attribute; None where it is not set."""
    attribute = node.attributes.get(name)
    return None if attribute is None or attribute.is_ref() else attribute.as_int()


def integers(node: ir.Node, name: str) -> list[int] | None:
    """Give a list of integers; None where it is not set."""
    attribute = node.attributes.get(name)
    return None if attribute is None or attribute.is_ref() else list(attribute.as_ints())


def sizes(tensor: ir.TensorProtocol) -> tuple[int, ...]:
    """Give the shape of a tensor as numbers."""
    return tuple(int(str(size)) for size in tensor.shape)


def only_reader(value: ir.Value) -> ir.Node | None:
    """Give the node that alone reads a value, once; None when there are more, or it is an output."""
    uses = tuple(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def is_own(value: ir.Value) -> bool:
    """Say whether a value is a weight that one node alone reads, once."""
    own = value.producer() is None and value.const_value is not None and not value.is_graph_input()
    return own and only_reader(value) is not None


def lazy(tensor: ir.TensorProtocol, make: Callable[[], NDArray[Any]], shape: tuple[int, ...]) -> ir.LazyTensor:
    """Give a tensor that is computed when it is written, of the dtype of `tensor`.

    Weights are rewritten one at a time while the file is written, so that no second copy of the
    model is ever in memory; a survey makes them and never asks for their content.
    """
    dtype = tensor.dtype
    return ir.LazyTensor(lambda: ir.tensor(make().astype(dtype.numpy()), dtype=dtype), dtype, ir.Shape(shape))


def set_input(node: ir.Node, index: int, value: ir.Value | None) -> None:
    """Set an input of a node, adding missing optional inputs before it."""
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)


def static_shape(value: ir.Value | None) -> tuple[int, ...] | None:
    """Give a shape whose dimensions are all known."""
    if value is None or value.shape is None or not all(isinstance(size, int) for size in value.shape):
        return None
    return tuple(size for size in value.shape if isinstance(size, int))


def rank_of(value: ir.Value | None) -> int | None:
    """Give the number of dimensions where it is known."""
    return None if value is None or value.shape is None else len(value.shape)
