"""Nodes that hard-code the size of the batch, made to take any."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from studio.api import PassError

from .names import subgraphs
from .values import graph_of, integer, is_op, set_input
from .workspace import Workspace

Dims = Sequence[int | None]
_ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Where", "And", "Or", "Equal", "Greater", "Less")


@dataclass
class Places:
    """Where the batch is.

    Attributes
    ----------
    inputs, outputs
        Name to the axis of the samples; inputs without samples are not in it.
    size
        The size before; 0 when it was dynamic.
    """

    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    size: int = 0


@dataclass
class Batching:
    """The batch of a model while it is freed.

    Attributes
    ----------
    before
        Dimensions of each value as the model stated them; None where they were dynamic.
    """

    space: Workspace
    before: Mapping[ir.Value, Dims]
    places: Places
    _size: ir.Value | None = None
    _reached: set[ir.Value] | None = None
    mended: set[ir.Node] = field(default_factory=set)

    def axis(self, value: ir.Value | None) -> int | None:
        """Give the axis of a value that carries the batch: known before, and not any more."""
        before = self.before.get(value, ()) if value is not None else ()
        if value is None or value.shape is None or len(value.shape) != len(before):
            return None
        moved = (
            axis
            for axis, (old, new) in enumerate(zip(before, value.shape, strict=True))
            if old is not None and not isinstance(new, int)
        )
        return next(moved, None)

    def is_shared(self, value: ir.Value) -> bool:
        """Say whether a value is the same whatever the samples are, and of known shape."""
        fixed = value.shape is not None and all(isinstance(size, int) for size in value.shape)
        return fixed and value not in self._of_samples()

    def _of_samples(self) -> set[ir.Value]:
        """Give the values that are computed from the samples, not from their shape alone."""
        if self._reached is None:
            inputs = self.space.model.graph.inputs
            owners = {id(graph): node for node in self.space.nodes() for graph in subgraphs(node)}
            self._reached = {value for value in inputs if value.name in self.places.inputs}
            stack = list(self._reached)
            while stack:
                users = [use.node for use in stack.pop().uses()]
                made = [value for node in users if not is_op(node, "Shape", "Size") for value in results(node, owners)]
                stack.extend(value for value in made if value not in self._reached)
                self._reached.update(made)
        return self._reached

    def size(self) -> ir.Value:
        """Give the number of samples as a tensor of shape ``(1,)``, computed from the first input."""
        if self._size is None:
            name, axis = next(iter(self.places.inputs.items()))
            source = next(value for value in self.space.model.graph.inputs if value.name == name)
            graph = self.space.model.graph
            shape = ir.node("Shape", [source], name=self.space.fresh("batch_shape"))
            index = self.space.initializer(graph, "batch_axis", ir.tensor(np.asarray([axis], np.int64)))
            take = ir.node("Gather", [shape.outputs[0], index], {"axis": 0}, name=self.space.fresh("batch_size"))
            for node in (shape, take):
                node.outputs[0].name = self.space.fresh(f"{node.name}_out")
            first = next(iter(graph), None)
            if first is None:
                graph.extend([shape, take])
            else:
                graph.insert_before(first, [shape, take])
            self._size = take.outputs[0]
        return self._size

    def shape_with(self, node: ir.Node, dims: Dims, axis: int) -> ir.Value:
        """Give a shape, computed when the model runs, with the batch at one axis; the others are fixed."""
        parts: list[ir.Value] = []
        for piece in (dims[:axis], None, dims[axis + 1 :]):
            if piece is None:
                parts.append(self.size())
            elif len(piece):
                fixed = ir.tensor(np.asarray(piece, dtype=np.int64))
                parts.append(self.space.initializer(graph_of(node), f"{node.name}_dims", fixed))
        return self.insert(node, "Concat", parts, axis=0)

    def insert(self, before: ir.Node, operator: str, inputs: Sequence[ir.Value], **attributes: int) -> ir.Value:
        """Put a new node before another; give its result."""
        new = ir.node(operator, list(inputs), dict(attributes), name=self.space.fresh(f"{before.name}_{operator}"))
        new.outputs[0].name = self.space.fresh(f"{new.name}_out")
        graph_of(before).insert_before(before, new)
        return new.outputs[0]

    def impossible(self, node: ir.Node, reason: str) -> PassError:
        """Say that a node makes another batch impossible."""
        return PassError(
            f"The node {node.name!r} ({node.op_type}) makes another batch impossible: {reason}.",
            "Export the model with a dynamic batch, or extract the part without that node.",
        )


def results(node: ir.Node, owners: Mapping[int, ir.Node]) -> list[ir.Value]:
    """Give what depends on what a node reads: its outputs, those of the nodes around it, inputs of its subgraphs."""
    found = [*node.outputs, *(value for graph in subgraphs(node) for value in graph.inputs)]
    around = owners.get(id(node.graph))
    return found if around is None else [*found, *results(around, owners)]


def mend(batching: Batching, node: ir.Node) -> None:
    """Mend a node if it hard-codes the batch."""
    if is_op(node, "Reshape"):
        _reshape(batching, node)
    elif is_op(node, "Expand"):
        _expand(batching, node)
    elif is_op(node, "Concat"):
        _concat(batching, node)
    elif is_op(node, "LSTM", "GRU", "RNN"):
        _recurrent(batching, node)
    elif is_op(node, "Squeeze"):
        _squeeze(batching, node)
    elif is_op(node, *_ELEMENTWISE):
        _broadcast(batching, node)


def _reshape(batching: Batching, node: ir.Node) -> None:
    axis = batching.axis(node.inputs[0])
    target = batching.space.array(node.inputs[1])
    if axis is None or target is None or node in batching.mended or integer(node, "allowzero", 0):
        return
    old, dims = batching.before[node.inputs[0]], target.reshape(-1).tolist()  # type: ignore[index]
    full = _resolved(dims, old, batching.before.get(node.outputs[0], ()))
    if full is None:
        raise batching.impossible(node, "its shapes are not known")
    at = _same_place(old, axis, full, batching.places.size)
    if at is None:
        raise batching.impossible(node, f"it reshapes {list(old)} to {full}, where the samples do not stay whole")
    if dims[at] == -1 or (dims[at] == 0 and at == axis):
        return
    fixed = [size if wanted == -1 else wanted for wanted, size in zip(dims, full, strict=True)]
    fixed[at] = -1
    if None in fixed:
        if at != axis:
            raise batching.impossible(node, "another dimension of its result is dynamic too")
        fixed = [0 if place == at else wanted for place, wanted in enumerate(dims)]
    batching.mended.add(node)
    _set_constant(batching, node, 1, fixed, "reshapes any batch")


def _resolved(target: Sequence[int], source: Dims, known: Dims) -> list[int | None] | None:
    """Give the dimensions of a Reshape's result before, zeros and -1 worked out where they can be."""
    full: list[int | None] = [source[place] if size == 0 else size for place, size in enumerate(target)]
    if -1 not in full:
        return full
    at = full.index(-1)
    rest = [size for place, size in enumerate(full) if place != at]
    full[at] = None
    if None not in rest and None not in source:
        full[at] = math.prod(int(size or 0) for size in source) // max(1, math.prod(int(size or 0) for size in rest))
    elif len(known) == len(full):
        full[at] = known[at]
    return full


def _same_place(source: Dims, axis: int, target: Dims, batch: int) -> int | None:
    """Find the axis of a Reshape's result in which the samples lie, as elements keep their order."""
    before = source[:axis]
    if None in before:
        same = axis < len(target) and list(target[:axis]) == list(before)
        return axis if same else None
    prefix = math.prod(int(size or 0) for size in before)
    inside, exact, start = [], [], 1
    for place, size in enumerate(target):
        if size is None:
            inside.append(place)
            break
        if size and prefix % start == 0 and (start * size) % (prefix * batch) == 0:
            inside.append(place)
            if start == prefix and size == source[axis] == batch:
                exact.append(place)
        start *= size
    found = exact or inside
    return axis if exact and axis in exact else next(iter(found), None)


def _expand(batching: Batching, node: ir.Node) -> None:
    axis, target = batching.axis(node.inputs[0]), batching.space.array(node.inputs[1])
    if axis is None or target is None:
        return
    dims = target.reshape(-1).tolist()
    at = axis + len(dims) - len(batching.before[node.inputs[0]])  # type: ignore[index]
    if at >= 0 and dims[at] != 1:
        _set_constant(batching, node, 1, [1 if place == at else size for place, size in enumerate(dims)], "any batch")
    elif at >= 0 and batching.before[node.outputs[0]][at] is None:
        return


def _concat(batching: Batching, node: ir.Node) -> None:
    """Repeat for each sample what stands beside the samples and is the same for all."""
    axes = {axis for value in node.inputs if (axis := batching.axis(value)) is not None}
    rank = max((len(batching.before.get(value, ())) for value in node.inputs if value is not None), default=0)
    along = integer(node, "axis", 0) % max(1, rank)
    if not axes or along in axes:
        return
    axis = axes.pop()
    for index, value in enumerate(node.inputs):
        if value is not None and batching.is_shared(value):
            set_input(node, index, _for_each(batching, node, value, axis))
            batching.space.rewritten(node, "joins what is the same for all samples to each")


def _recurrent(batching: Batching, node: ir.Node) -> None:
    """Repeat constant initial states, and lengths of sequences, for each sample."""
    if batching.axis(node.inputs[0]) is None:
        return
    first = integer(node, "layout", 0)
    for index, axis in ((4, 0), (5, 0 if first else 1), (6, 0 if first else 1)):
        value = node.inputs[index] if index < len(node.inputs) else None
        if value is not None and batching.is_shared(value):
            set_input(node, index, _for_each(batching, node, value, axis))
            batching.space.rewritten(node, "begins every sample in the same state")


def _broadcast(batching: Batching, node: ir.Node) -> None:
    """Take one of several equal slices of a constant that stands beside the samples, and let it be broadcast."""
    values = [value for value in node.inputs if value is not None]
    ends = {len(batching.before[value]) - axis for value in values if (axis := batching.axis(value)) is not None}
    if not ends or batching.places.size < 2:
        return
    end = ends.pop()
    for index, value in enumerate(node.inputs):
        if value is None or not batching.is_shared(value) or len(value.shape or ()) < end:
            continue
        axis = len(value.shape or ()) - end
        if list(value.shape or ())[axis] == batching.places.size:
            node.replace_input_with(index, _first(batching, node, value, axis))
            batching.space.rewritten(node, "takes what is the same for all samples once")


def _for_each(batching: Batching, node: ir.Node, value: ir.Value, axis: int) -> ir.Value:
    """Repeat the first of several equal slices along an axis as often as there are samples."""
    dims = [int(str(size)) for size in value.shape or ()]
    if dims[axis] not in (1, batching.places.size):
        raise batching.impossible(node, f"{value.name!r} has {dims[axis]} of what should be one a sample")
    if dims[axis] > 1:
        value = _first(batching, node, value, axis)
        dims[axis] = 1
    return batching.insert(node, "Expand", [value, batching.shape_with(node, dims, axis)])


def _first(batching: Batching, node: ir.Node, value: ir.Value, axis: int) -> ir.Value:
    """Give the first slice of a constant whose slices are all the same."""
    tensor = batching.space.tensor(value)
    filled = is_op(value.producer(), "ConstantOfShape") or _widened(value, axis)
    if tensor is not None:
        array = tensor.numpy()
        one = np.take(array, [0], axis=axis)
        if (array == one).all():
            return batching.space.initializer(graph_of(node), f"{value.name}_one", ir.tensor(one))
    if filled:
        indices = batching.space.initializer(graph_of(node), f"{value.name}_first", ir.tensor(np.zeros(1, np.int64)))
        return batching.insert(node, "Gather", [value, indices], axis=axis)
    raise batching.impossible(node, f"{value.name!r} differs from sample to sample")


def _widened(value: ir.Value, axis: int) -> bool:
    """Say whether an Expand repeats its input along an axis of its result."""
    node = value.producer()
    source = node.inputs[0] if node is not None and is_op(node, "Expand") else None
    if source is None or source.shape is None or value.shape is None:
        return False
    own = axis - len(value.shape) + len(source.shape)
    return own < 0 or list(source.shape)[own] == 1


def _squeeze(batching: Batching, node: ir.Node) -> None:
    axis = batching.axis(node.inputs[0])
    rank = len(batching.before.get(node.inputs[0], ())) if node.inputs[0] is not None else 0
    if axis is None or not rank:
        return
    attribute = node.attributes.get("axes")
    given = list(attribute.as_ints()) if attribute is not None and not attribute.is_ref() else None
    if given is None and len(node.inputs) > 1:
        array = batching.space.array(node.inputs[1])
        given = None if array is None else array.reshape(-1).tolist()
    if given is None or axis in [place % rank for place in given]:
        raise batching.impossible(node, "it takes the batch axis away")


def _set_constant(batching: Batching, node: ir.Node, index: int, dims: Sequence[int | None], detail: str) -> None:
    space = batching.space
    tensor = ir.tensor(np.asarray(dims, dtype=np.int64))
    name = f"{node.outputs[0].name}_shape"
    node.replace_input_with(index, space.initializer(graph_of(node), name, tensor))
    space.rewritten(node, detail)
