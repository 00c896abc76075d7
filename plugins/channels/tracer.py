"""Following units through a graph: which elements stand along each axis of each tensor.

Elements come into being at constants (weights) and flow along: an operator either hands the elements
of an axis on, or joins them with those of another axis, or makes an axis of theirs, or locks them. This is
the dependency graph of DepGraph (Fang et al. 2023, arXiv:2301.12900) at the level of single
channels, so that concatenation, splitting and reshaping need no special treatment afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx_ir as ir

from studio.api import named_nodes

from .arithmetic import entries_of, plain
from .elements import Elements
from .sizes import Size, constant, find_sizes, is_op, tensor_sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .arithmetic import Entries
    from .cutting import Cut
    from .elements import Ids

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN")
#: elements along each axis of a tensor; None for an axis that keeps its size
Axes = list["Ids | None"]


@dataclass(frozen=True)
class Layer:
    """A node with a weight whose outputs (maker) or inputs (reader) are elements."""

    node: ir.Node
    name: str
    role: Literal["maker", "reader"]
    tensor: ir.Value
    ids: Ids


@dataclass(frozen=True)
class Ragged:
    """A weight ``(outputs, inputs of a group, ...)`` of a grouped convolution: each group has its own inputs."""

    outputs: Ids
    inputs: Ids


@dataclass
class Tracer:
    """The elements along the axes of all tensors of a model's main graph, and how to change its nodes.

    Attributes
    ----------
    axes
        Elements of each tensor, by its name.
    layers
        Nodes with weights, in order.
    fixes
        What has to be done to a node when elements go, beside slicing constants.
    ragged
        Weights of grouped convolutions that are sliced group by group, by name.
    constants
        Initializers and outputs of Constant nodes that were met, by name.
    known
        What is known of tensors of integers that are computed from shapes, by name.
    filled_constants
        Outputs of ConstantOfShape nodes of constant shape.
    macs
        Multiply-accumulates of each node that has some.
    work
        Multiply-accumulates of nodes, and the elements of an axis that they are spread over.
    heads, states
        Elements that are heads of an attention, and hidden states of a recurrent layer.
    """

    model: ir.Model
    elements: Elements = field(default_factory=Elements)
    axes: dict[str, Axes] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    fixes: list[tuple[ir.Node, Callable[[Cut], None]]] = field(default_factory=list)
    ragged: dict[str, Ragged] = field(default_factory=dict)
    constants: dict[str, ir.Value] = field(default_factory=dict)
    known: dict[str, Entries] = field(default_factory=dict)
    filled_constants: set[str] = field(default_factory=set)
    work: list[tuple[float, Ids]] = field(default_factory=list)
    macs: list[float] = field(default_factory=list)
    heads: list[Ids] = field(default_factory=list)
    states: list[Ids] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.opset = next((v for name, v in self.model.opset_imports.items() if name in ("", "ai.onnx")), 1)
        self.sizes = find_sizes(self.model)
        self.names = {node: name for name, node in named_nodes(self.model)}

    # what is known of a value

    def shape(self, value: ir.Value | None) -> tuple[Size, ...] | None:
        """Give the sizes of a value's axes; None where not even their number is known."""
        if value is None:
            return None
        name = str(value.name)
        if name not in self.sizes and (tensor := constant(value)) is not None:
            self.sizes[name] = tensor_sizes(tensor)
        return self.sizes.get(name)

    def rank(self, value: ir.Value | None) -> int | None:
        """Give the number of axes where it is known."""
        shape = self.shape(value)
        return None if shape is None else len(shape)

    def of(self, value: ir.Value | None) -> Axes | None:
        """Give the elements along a value's axes; None where the number of axes is not known."""
        if value is None:
            return None
        name = str(value.name)
        if name not in self.axes:
            shape = self.shape(value)
            if shape is None:
                return None
            if constant(value) is None:
                self.axes[name] = [None] * len(shape)
            else:
                self.constants[name] = value
                self.axes[name] = self._fresh(value, shape)
        return self.axes[name]

    def integers(self, value: ir.Value | None) -> list[int] | None:
        """Give a tensor of integers that are known before the model runs."""
        entries = entries_of(self, value)
        found = [] if entries is None else [plain(entry) for entry in entries.reshape(-1)]
        return None if entries is None or None in found else [item for item in found if item is not None]

    def _fresh(self, value: ir.Value, shape: Sequence[Size]) -> Axes:
        axes: Axes = [self.elements.new(size) if isinstance(size, int) and size > 1 else None for size in shape]
        reason = ""
        if value.is_graph_input() and (self.model.ir_version or 0) >= 4:
            reason = f"{value.name} is an input that a caller may replace"
        elif value.is_graph_output():
            reason = f"{value.name} is an output of the model"
        elif value.producer() is None and value.graph is not self.model.graph:
            reason = f"{value.name} belongs to a subgraph"
        if reason:
            for ids in axes:
                self.lock(ids, reason)
        return axes

    # what operators say

    def set(self, value: ir.Value, axes: Sequence[Ids | None], sizes: Sequence[Size] | None = None) -> None:
        """Say which elements stand along the axes of a result.

        Parameters
        ----------
        sizes
            The sizes of these axes as far as the operator tells; None where it does not.
        """
        name = str(value.name)
        shape: Sequence[Size] = self.sizes.get(name) or ()
        if len(shape) != len(axes):
            shape = [None] * len(axes)
        told = sizes if sizes is not None and len(sizes) == len(axes) else [None] * len(axes)
        self.sizes[name] = tuple(
            len(ids) if ids is not None else size if isinstance(size, int) or other is None else other
            for size, other, ids in zip(shape, told, axes, strict=True)
        )
        self.axes[name] = list(axes)

    def lock(self, ids: Ids | None, reason: str) -> None:
        """Say that the elements of an axis may not go."""
        if ids is not None:
            self.elements.lock(ids, reason)

    def lock_value(self, value: ir.Value | None, reason: str) -> None:
        """Say that no element of a value may go."""
        for ids in self.of(value) or ():
            self.lock(ids, reason)

    def join(self, one: Ids | None, other: Ids | None, reason: str) -> Ids | None:
        """Say that two axes are the same; where one of them is fixed, so is the other, for this reason."""
        if one is None or other is None or len(one) != len(other):
            self.lock(one, reason)
            self.lock(other, reason)
            return None
        self.elements.join(one, other)
        return one

    def filled(self, value: ir.Value, axis: int, reason: str) -> Ids | None:
        """Give the elements of an axis, new and locked ones where it is fixed; None where its size is unknown."""
        axes, shape = self.of(value), self.shape(value)
        if axes is None or shape is None:
            return None
        ids, size = axes[axis], shape[axis]
        if ids is None and isinstance(size, int):
            ids = self.elements.new(size)
            self.lock(ids, reason)
        return ids

    def fix(self, node: ir.Node, how: Callable[[Cut], None]) -> None:
        """Say what has to be done to a node when elements go."""
        self.fixes.append((node, how))

    def layer(self, node: ir.Node, role: Literal["maker", "reader"], tensor: ir.Value | None, ids: Ids | None) -> None:
        """Note a node with a weight."""
        if ids is not None and tensor is not None:
            self.layers.append(Layer(node, self.names[node], role, tensor, ids))

    def count(self, macs: float, *axes: Ids | None) -> None:
        """Note the multiply-accumulates of a node, which are spread evenly over each of these axes."""
        self.macs.append(macs)
        self.work.extend((macs, ids) for ids in axes if ids is not None)

    def volume(self, sizes: Sequence[Size]) -> float:
        """Give the number of elements of a shape; sizes that are not known count as 1."""
        return float(math.prod(size for size in sizes if isinstance(size, int)))

    def describe(self, node: ir.Node) -> str:
        """Name a node for people."""
        return f"{self.names[node]} ({node.op_type})"

    def is_layer(self, node: ir.Node) -> bool:
        """Say whether a node is a layer with a weight that units could be taken from."""
        return is_op(node, *LAYERS) and any(self.is_weight(value) for value in node.inputs)

    def is_weight(self, value: ir.Value | None) -> bool:
        """Say whether a value is constant: a weight, or made from constants alone by operators that keep them."""
        while value is not None:
            if constant(value) is not None:
                return True
            node = value.producer()
            if not is_op(node, "Identity", "Cast", "DequantizeLinear", "Transpose", "Reshape", "ConstantOfShape"):
                return False
            assert node is not None
            if node.op_type == "ConstantOfShape":
                return str(value.name) in self.filled_constants
            value = node.inputs[0]
        return False


def given(node: ir.Node, index: int) -> ir.Value | None:
    """Give an input of a node; None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def number(node: ir.Node, name: str, default: int) -> int:
    """Give an integer attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None or attribute.is_ref() else attribute.as_int()


def numbers(node: ir.Node, name: str) -> list[int] | None:
    """Give a list of integers; None where it is not set."""
    attribute = node.attributes.get(name)
    return None if attribute is None or attribute.is_ref() else [int(item) for item in attribute.as_ints()]


def text(node: ir.Node, name: str, default: str) -> str:
    """Give a text attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None or attribute.is_ref() else attribute.as_string()


def integers_of(array: NDArray[Any]) -> list[int]:
    """Give an array as plain numbers."""
    return [int(item) for item in np.asarray(array).reshape(-1)]
