"""Taking units out of a model: constants are sliced, attributes and shapes follow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from studio.api import NodeChange, PassError, Scope

from .analysis import Analysis, analyze
from .group import Group
from .sizes import constant, tensor_sizes
from .tracer import Layer, Tracer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .elements import Ids
    from .resolve import Resolved
    from .tracer import Ragged

#: operators that shapes are computed with, which may go when nothing uses the shape any more
SHAPE_OPERATORS = frozenset(
    [
        "Add",
        "Cast",
        "Concat",
        "Constant",
        "Div",
        "Gather",
        "Identity",
        "Mul",
        "Shape",
        "Slice",
        "Sub",
        "Squeeze",
        "Unsqueeze",
    ]
)
Gone = Mapping[str, "NDArray[Any] | Sequence[int]"]


@dataclass(frozen=True)
class Removal:
    """What was taken out.

    Attributes
    ----------
    changes
        One entry for each node that has other sizes now, such as ``64 -> 48 output channels``.
    provenance
        Nodes of the result that were added, to the nodes of the source that they serve.
    units
        How many units each group had, and how many are left.
    """

    changes: tuple[NodeChange, ...]
    provenance: dict[str, tuple[str, ...]]
    units: dict[str, tuple[int, int]]


@dataclass
class Cut:
    """What stays of the elements; rules ask it, and change their nodes through it."""

    tracer: Tracer
    gone: NDArray[np.bool_]
    fixed: list[ir.Node] = field(default_factory=list)
    added: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: list[ir.Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph = self.tracer.model.graph
        self.taken = set(self.tracer.names.values()) | set(graph.initializers)
        self.taken |= {str(value.name) for value in graph.inputs}
        self.taken |= {str(value.name) for node in self.tracer.names for value in node.outputs}

    def keep(self, ids: Ids) -> NDArray[np.bool_]:
        """Say which elements stay."""
        return ~self.gone[ids]

    def size(self, ids: Ids) -> int:
        """Count the elements that stay."""
        return int(self.keep(ids).sum())

    def set_integer(self, node: ir.Node, name: str, new: int) -> None:
        """Set an attribute."""
        self._note(node)
        node.attributes.add(ir.AttrInt64(name, new))

    def set_integers(self, node: ir.Node, name: str, new: Sequence[int]) -> None:
        """Set an attribute that is a list."""
        self._note(node)
        node.attributes.add(ir.AttrInt64s(name, list(new)))

    def put(self, node: ir.Node, index: int, new: Sequence[int]) -> None:
        """Give a node a constant of its own as an input."""
        self._note(node)
        old = node.inputs[index] if index < len(node.inputs) else None
        if index >= len(node.inputs):
            node.resize_inputs(index + 1)
        node.replace_input_with(index, self._integers(node, f"{index}_sizes", new))
        if old is not None and (str(old.name) in self.tracer.known or constant(old) is not None):
            self.dropped += _drop_unused(old)

    def put_some(self, node: ir.Node, index: int, new: Mapping[int, int], length: int) -> None:
        """Set some entries of a vector that a node is given; the others are taken from it when the model runs."""
        self._note(node)
        old = node.inputs[index]
        parts: list[ir.Value] = []
        for at in range(length):
            if at in new:
                parts.append(self._integers(node, f"{index}_{at}_size", [new[at]]))
            else:
                place = self._integers(node, f"{index}_{at}_place", [at])
                parts.append(self._add(node, "Gather", [old, place], f"{index}_{at}_kept", {"axis": 0}))
        node.replace_input_with(index, self._add(node, "Concat", parts, f"{index}_sizes", {"axis": 0}))

    def _add(
        self, node: ir.Node, operator: str, inputs: Sequence[ir.Value | None], label: str, attributes: dict[str, int]
    ) -> ir.Value:
        """Add a node of integers before another."""
        name = self._free(f"{self.tracer.names[node]}_{label}")
        output = ir.Value(name=name, type=ir.TensorType(ir.DataType.INT64))
        listed = [ir.AttrInt64(key, value) for key, value in attributes.items()]
        made = ir.Node("", operator, inputs, listed, outputs=[output], name=name)
        self._graph_of(node).insert_before(node, made)
        self.added[name] = (self.tracer.names[node],)
        return output

    def _integers(self, node: ir.Node, label: str, new: Sequence[int]) -> ir.Value:
        """Make a constant for a node."""
        name = self._free(f"{self.tracer.names[node]}_{label}")
        tensor = ir.tensor(np.asarray(new, dtype=np.int64), name=name)
        kind, shape = ir.TensorType(tensor.dtype), ir.Shape([len(new)])
        if (self.tracer.model.ir_version or 0) >= 4:
            value = ir.Value(name=name, const_value=tensor, type=kind, shape=shape)
            self.tracer.model.graph.register_initializer(value)
            return value
        # initializers had to be inputs then
        value = ir.Value(name=name, type=kind, shape=shape)
        maker = ir.Node("", "Constant", [], [ir.AttrTensor("value", tensor)], outputs=[value], name=name)
        self._graph_of(node).insert_before(node, maker)
        self.added[name] = (self.tracer.names[node],)
        return value

    def _free(self, name: str) -> str:
        while name in self.taken:
            name += "'"
        self.taken.add(name)
        return name

    def _graph_of(self, node: ir.Node) -> ir.Graph:
        assert isinstance(node.graph, ir.Graph)
        return node.graph

    def _note(self, node: ir.Node) -> None:
        if node not in self.fixed:
            self.fixed.append(node)


def remove(model: ir.Model, gone: Gone, analysis: Analysis | None = None) -> Removal:
    """Take units out of a model, in place.

    Weights are sliced when they are written, one at a time; they stay what they are until then.

    Parameters
    ----------
    gone
        Units of groups, by the groups' keys.
    analysis
        What `analyze` said about this very model, to save doing it again.

    Raises
    ------
    PassError
        For an unknown or locked group, a unit that does not exist, or when parts are left unequal or empty.
    """
    analysis = analysis or analyze(model, Scope())
    units: dict[str, tuple[int, int]] = {}
    classes = np.zeros(len(analysis.resolved.locks) + 1, dtype=bool)
    by_key = {group.key: index for index, group in enumerate(analysis.groups)}
    for key, which in gone.items():
        if key not in by_key:
            raise PassError(f"There is no group {key!r}.", "List the groups of this very model first.")
        index = by_key[key]
        mask = _checked(analysis.groups[index], np.asarray(which, dtype=np.intp).reshape(-1))
        numbers = analysis.starts[index] + np.flatnonzero(mask)
        classes[np.flatnonzero(np.isin(analysis.members, numbers))] = True
        units[key] = (len(mask), int((~mask).sum()))
    # owners are filled up with -1, which is the last entry and never gone
    cut = Cut(analysis.tracer, np.asarray(classes[analysis.resolved.owners].any(axis=1)))
    _drop_copies(analysis.resolved, cut)
    changes = [_layer_change(node, layers, cut) for node, layers in _by_node(analysis.tracer.layers).items()]
    analysis.copies.put_in()
    done = _slice_constants(cut)
    for _, how in analysis.tracer.fixes:
        how(cut)
    analysis.copies.settle()
    _reshape_values(cut)
    listed = {change.node for change in changes if change is not None}
    found = [change for change in changes if change is not None]
    for node in (*done, *cut.fixed):
        name = analysis.tracer.names[node]
        if name not in listed:
            listed.add(name)
            found.append(NodeChange(node=name, operator=node.op_type, change="rewritten", detail=_detail(node, cut)))
    for name in cut.added:
        operator = next(node.op_type for node in model.graph if node.name == name)
        found.append(NodeChange(node=name, operator=operator, change="added", detail="a size that does not follow"))
    for node in cut.dropped:
        found.append(NodeChange(node=analysis.tracer.names[node], operator=node.op_type, change="removed"))
    return Removal(tuple(found), cut.added, units)


def _detail(node: ir.Node, cut: Cut) -> str:
    """Say how the largest axis of a node's result has changed."""
    for value in node.outputs:
        for ids in cut.tracer.axes.get(str(value.name), ()):
            if ids is not None and not cut.keep(ids).all():
                return f"{len(ids)} -> {cut.size(ids)} units"
    return "sizes follow what is gone"


def _drop_copies(resolved: Resolved, cut: Cut) -> None:
    """Let as many copies go as elements go beside each element of the other factors; which ones does not matter."""
    for product, axis in resolved.loose.values():
        ids = product.factors[axis]
        rows = cut.gone[np.moveaxis(product.whole, axis, -1)].reshape(-1, product.whole.shape[axis])
        left = rows[~rows.all(axis=1)]
        if ids is not None and len(left):
            cut.gone[np.isin(resolved.classes, resolved.classes[ids[: int(left[0].sum())]])] = True


def _checked(group: Group, which: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Give a mask of the units that go.

    Raises
    ------
    PassError
        When they may not.
    """
    mask = np.zeros(group.size, dtype=bool)
    if not which.size:
        return mask
    if group.locked:
        raise PassError(f"No unit of {group.key!r} may go: {group.locked}.", "Leave this group out.")
    if which.min() < 0 or which.max() >= group.size:
        raise PassError(f"{group.key!r} has units 0 to {group.size - 1}.", "Give units in this range.")
    mask[which] = True
    left = np.bincount(group.parts, weights=~mask, minlength=int(group.parts.max()) + 1)
    if left.min() < 1:
        raise PassError(f"No unit of {group.key!r} would be left.", "Keep at least one in each part.")
    if left.min() != left.max():
        raise PassError(f"The parts of {group.key!r} would be unequal.", "Keep the same number in each part.")
    return mask


def _by_node(layers: Sequence[Layer]) -> dict[ir.Node, list[Layer]]:
    found: dict[ir.Node, list[Layer]] = defaultdict(list)
    for layer in layers:
        found[layer.node].append(layer)
    return found


def _layer_change(node: ir.Node, layers: Sequence[Layer], cut: Cut) -> NodeChange | None:
    details = []
    for layer in layers:
        before, after = len(layer.ids), cut.size(layer.ids)
        if after < before:
            side = "output" if layer.role == "maker" else "input"
            noun = "channels" if node.op_type in ("Conv", "ConvTranspose") else "features"
            details.append(f"{before} -> {after} {side} {noun}")
    if not details:
        return None
    return NodeChange(node=layers[0].name, operator=node.op_type, change="rewritten", detail=", ".join(details))


def _slice_constants(cut: Cut) -> list[ir.Node]:
    """Slice every constant that holds elements that go, and list the nodes that use them."""
    users: list[ir.Node] = []
    for name, value in cut.tracer.constants.items():
        tensor = constant(value)
        if tensor is None:
            continue
        keeps = [None if ids is None or (keep := cut.keep(ids)).all() else keep for ids in cut.tracer.axes[name]]
        ragged = cut.tracer.ragged.get(name)
        if ragged is not None and cut.keep(ragged.inputs).all():
            ragged = None
        if ragged is None and all(keep is None for keep in keeps):
            continue
        put_content(value, _sliced(tensor, keeps, ragged, cut))
        users += [user for user, _ in value.uses() if user in cut.tracer.names]
    return users


def _sliced(
    tensor: ir.TensorProtocol, keeps: Sequence[NDArray[np.bool_] | None], ragged: Ragged | None, cut: Cut
) -> ir.TensorProtocol:
    shape = [size if keep is None else int(keep.sum()) for size, keep in zip(tensor_sizes(tensor), keeps, strict=True)]
    columns = None
    if ragged is not None:
        columns = cut.keep(ragged.inputs).reshape(-1, tensor_sizes(tensor)[1])
        shape[1] = int(columns[0].sum())

    def make() -> ir.TensorProtocol:
        array = tensor.numpy()
        if columns is not None:
            groups = np.split(array, len(columns))
            array = np.concatenate([group[:, keep] for group, keep in zip(groups, columns, strict=True)])
        for axis, keep in enumerate(keeps):
            if keep is not None:
                array = np.compress(keep, array, axis=axis)
        return ir.Tensor(np.ascontiguousarray(array), dtype=tensor.dtype, name=tensor.name)

    return ir.LazyTensor(make, tensor.dtype, ir.Shape(shape), name=tensor.name)


def put_content(value: ir.Value, tensor: ir.TensorProtocol) -> None:
    """Give an initializer or the output of a Constant node other content, of any shape."""
    node = value.producer()
    if node is None:
        value.const_value = tensor
    else:
        node.attributes.clear()
        node.attributes.add(ir.AttrTensor("value", tensor))
    value.type = value.type or ir.TensorType(tensor.dtype)
    value.shape = ir.Shape(tensor_sizes(tensor))


def _reshape_values(cut: Cut) -> None:
    """Write the new sizes into the shapes of all tensors."""
    for node in cut.tracer.model.graph:
        for value in node.outputs:
            axes = cut.tracer.axes.get(str(value.name))
            if axes is None or value.shape is None or len(axes) != len(value.shape):
                continue
            dims = [size if ids is None else cut.size(ids) for size, ids in zip(value.shape, axes, strict=True)]
            value.shape = ir.Shape(dims)


def _drop_unused(value: ir.Value | None) -> list[ir.Node]:
    """Remove a constant or a computed shape that nothing uses any more, and what only led to it."""
    if value is None or value.uses() or value.is_graph_output():
        return []
    node = value.producer()
    if node is None:
        if value.is_initializer() and not value.is_graph_input() and value.graph is not None:
            value.graph.initializers.pop(str(value.name), None)
        return []
    if node.op_type not in SHAPE_OPERATORS or node.graph is None or any(output.uses() for output in node.outputs):
        return []
    before = list(node.inputs)
    node.graph.remove(node, safe=True)
    return [node, *(dropped for item in before for dropped in _drop_unused(item))]
