"""A model that is being edited: what is constant, what may be touched, what was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from studio.api import NodeChange, Reporter, Scope, SilentReporter

from .names import all_graphs, name_nodes, subgraphs, unique
from .values import STANDARD_DOMAINS, constant_tensor, graph_of, is_op, is_own, set_input, sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Constants up to this many elements are looked at freely; larger ones only when a weight is rewritten.
SMALL = 4096
#: Domain of the operators that ONNX Runtime has beyond the standard.
MICROSOFT = "com.microsoft"


class Workspace:
    """A model that is edited in place, with the record of what happened to its nodes.

    Parameters
    ----------
    model
        The model; it is changed. Nodes get unique names at once.
    scope
        The nodes that may be touched.
    reporter
        Asked at every step whether the work should stop.
    """

    def __init__(self, model: ir.Model, scope: Scope, reporter: Reporter | None = None) -> None:
        self.model = model
        self._graphs: list[ir.Graph] | None = None
        self.scope = scope
        self.reporter: Reporter = reporter or SilentReporter()
        self.warnings: list[str] = []
        self.opset = max((model.opset_imports.get(domain, 0) for domain in STANDARD_DOMAINS), default=0)
        self._unlist_weights()
        name_nodes(model)
        self._before = {str(node.name): node.op_type for node in self.nodes()}
        self._details: dict[str, str] = {}
        self._rewritten: dict[str, str] = {}
        self._value_names: set[str] | None = None
        self._idle = {id(value): value for value in self._unread_weights()}
        self.edits = 0
        #: how often something became known that shape inference did not know
        self.discoveries = 0

    # What the model is

    @property
    def graphs(self) -> list[ir.Graph]:
        """The main graph and every subgraph."""
        if self._graphs is None:
            self._graphs = all_graphs(self.model)
        return self._graphs

    def nodes(self) -> list[ir.Node]:
        """List the nodes of all graphs as they are now; the list may be walked while nodes are removed."""
        return [node for graph in self.graphs for node in graph]

    def selects(self, *nodes: ir.Node) -> bool:
        """Say whether all of these nodes may be touched."""
        return self.scope.everything or all(self.scope.selects(str(node.name), node.op_type) for node in nodes)

    def tensor(self, value: ir.Value | None) -> ir.TensorProtocol | None:
        """Give the tensor of a constant: an initializer or a Constant node, also through Identity.

        An initializer that is listed as an input as well is not a constant: a caller may feed another.
        """
        while value is not None:
            node = value.producer()
            if node is None:
                return None if value.is_graph_input() else value.const_value
            if is_op(node, "Constant"):
                return constant_tensor(node)
            if not is_op(node, "Identity"):
                return None
            value = node.inputs[0]
        return None

    def array(self, value: ir.Value | None, limit: int = SMALL) -> NDArray[Any] | None:
        """Give the content of a small constant; None when it is none or has more than `limit` elements."""
        tensor = self.tensor(value)
        return None if tensor is None or tensor.size > limit else tensor.numpy()

    def scalar(self, value: ir.Value | None) -> float | None:
        """Give the number in a constant of one numeric element."""
        array = self.array(value, 1)
        return float(array.reshape(())) if array is not None and array.size == 1 and array.dtype.kind != "O" else None

    # Edits

    def fresh(self, name: str) -> str:
        """Give a value name that nothing in the model has, near `name`."""
        if self._value_names is None:
            self._value_names = _value_names(self.model)
        chosen = unique(name, self._value_names)
        self._value_names.add(chosen)
        return chosen

    def initializer(self, graph: ir.Graph, name: str, tensor: ir.TensorProtocol) -> ir.Value:
        """Add a weight to a graph, under a fresh name near `name`."""
        chosen = self.fresh(name)
        value = ir.Value(
            name=chosen, type=ir.TensorType(tensor.dtype), shape=ir.Shape(sizes(tensor)), const_value=tensor
        )
        graph.register_initializer(value)
        return value

    def rewrite_weight(self, node: ir.Node, index: int, tensor: ir.TensorProtocol) -> None:
        """Give an input of a node other content; under its old name where nothing else reads it."""
        value = node.inputs[index]
        graph = graph_of(node)
        if value is not None and is_own(value):
            value.const_value = tensor
            value.shape, value.type = ir.Shape(sizes(tensor)), ir.TensorType(tensor.dtype)
            return
        name = value.name if value is not None and value.name else f"{node.outputs[0].name}_weight"
        set_input(node, index, self.initializer(graph, f"{name}_folded", tensor))
        self._drop_unread_source(value)

    def alias(self, old: ir.Value, new: ir.Value, *, keep_name: bool = False) -> bool:
        """Make every reader of `old` read `new`, which computes the same.

        An output of the graph keeps its name, type and shape: `new` takes its place where it may.

        Parameters
        ----------
        keep_name
            Whether `new` takes the name of `old` in any case.

        Returns
        -------
        bool
            False, with nothing changed, when `old` is an output of its graph and `new` cannot be one
            (it is an input, a weight, of another graph, or an output itself).
        """
        output = old.is_graph_output()
        if output and not _may_become_output(old, new):
            return False
        if output or (keep_name and not new.is_graph_output()):
            new.name = old.name
        if output or new.shape is None:
            new.shape = old.shape if old.shape is not None else new.shape
        if output or new.type is None:
            new.type = old.type if old.type is not None else new.type
        old.replace_all_uses_with(new, replace_graph_outputs=output)
        return True

    def remove(self, node: ir.Node, detail: str) -> None:
        """Take a node out whose results nothing reads any more."""
        self.explain(node, detail)
        inputs = list(node.inputs)
        graph_of(node).remove(node, safe=True)
        for graph in subgraphs(node):
            _release(graph)
            self._graphs = None
        self.edits += 1
        for value in inputs:
            self._drop_unread_source(value)

    def insert(self, before: ir.Node, node: ir.Node, detail: str) -> ir.Node:
        """Put a node before another whose place and name it takes."""
        node.name = before.name
        graph_of(before).insert_before(before, node)
        self.rewritten(node, detail)
        return node

    def rewritten(self, node: ir.Node, detail: str) -> None:
        """Record that a node was changed in place."""
        self._rewritten[str(node.name)] = detail
        self.edits += 1

    def drop_unread_weights(self, *, idle: bool = False) -> None:
        """Take out weights that nothing reads any more.

        Parameters
        ----------
        idle
            Whether to take out also those that nothing read from the start.
        """
        for value in self._unread_weights():
            if (idle or id(value) not in self._idle) and value.graph is not None and value.name is not None:
                value.graph.initializers.pop(value.name)
                self.edits += 1

    def rebase(self) -> None:
        """Look at the graphs anew after they were replaced by others; nodes without a name get one."""
        self._graphs = None
        name_nodes(self.model)

    def explain(self, node: ir.Node, detail: str) -> None:
        """Record why a node will not be in the result."""
        self._details[str(node.name)] = detail

    # What happened

    def changes(self) -> tuple[NodeChange, ...]:
        """List what happened to the nodes: removed ones first, then rewritten and added ones."""
        after = {str(node.name): node.op_type for node in self.nodes()}
        removed = [
            NodeChange(node=name, operator=operator, change="removed", detail=self._details.get(name, ""))
            for name, operator in self._before.items()
            if name not in after
        ]
        return (*removed, *filter(None, (self._kept(name, operator) for name, operator in after.items())))

    def _kept(self, name: str, operator: str) -> NodeChange | None:
        detail = self._rewritten.get(name, "")
        if name not in self._before:
            return NodeChange(node=name, operator=operator, change="added", detail=detail)
        if name not in self._rewritten:
            return None
        return NodeChange(node=name, operator=operator, change="rewritten", detail=detail)

    def _drop_unread_source(self, value: ir.Value | None) -> None:
        """Take out a Constant, or an Identity of one, that nothing reads any more."""
        node = value.producer() if value is not None else None
        if value is None or node is None or value.uses() or value.is_graph_output():
            return
        if is_op(node, "Constant", "Identity") and node.graph is not None:
            self.remove(node, "nothing reads its result any more")

    def _unread_weights(self) -> list[ir.Value]:
        weights = (value for graph in self.graphs for value in graph.initializers.values())
        return [v for v in weights if not (v.uses() or v.is_graph_input() or v.is_graph_output())]

    def _unlist_weights(self) -> None:
        """Take weights off the inputs of files before IR version 4, where each had to be listed.

        There the listing is a formality of the format; from version 4 on it means that a caller may
        feed another value, so that it is kept.
        """
        if (self.model.ir_version or 0) >= 4:
            return
        self.model.ir_version = 4
        for graph in self.graphs:
            inputs = [value for value in graph.inputs if value.name not in graph.initializers]
            graph.inputs.clear()
            graph.inputs.extend(inputs)


def _release(graph: ir.Graph) -> None:
    """Let a graph that is gone read nothing, so that what it read counts as unread."""
    for inner in graph.all_nodes():
        for index in range(len(inner.inputs)):
            inner.replace_input_with(index, None)


def _value_names(model: ir.Model) -> set[str]:
    names: set[str] = set()
    for graph in all_graphs(model):
        names.update(value.name for value in graph.inputs if value.name)
        names.update(graph.initializers)
        names.update(value.name for node in graph for value in node.outputs if value.name)
    return names


def _may_become_output(old: ir.Value, new: ir.Value) -> bool:
    maker, taker = new.producer(), old.producer()
    if maker is None or taker is None or maker.graph is not taker.graph or not isinstance(taker.graph, ir.Graph):
        return False
    if new.is_graph_output() or maker is taker:
        return False
    return sum(value is old for value in taker.graph.outputs) == 1
