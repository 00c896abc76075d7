"""Adds nodes and initializers to a main graph, under names that are free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .graph import node_names

if TYPE_CHECKING:
    import onnx_ir as ir


class Editor:
    """Edits one graph; `added` maps each new node's name to the node that it serves."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._values = {value.name for node in graph.all_nodes() for value in node.outputs}
        self._values |= {value.name for value in graph.inputs} | set(graph.initializers)
        self._nodes = {node.name for node in graph.all_nodes()} | set(node_names(graph).values())
        self.added: dict[str, tuple[str, ...]] = {}
        self.operators: dict[str, str] = {}

    def initializer(self, tensor: ir.TensorProtocol) -> ir.Value:
        """Register a tensor; primes are added to its name until it is free."""
        import onnx_ir as ir

        tensor.name = self._free(str(tensor.name), self._values)
        shape, kind = ir.Shape([int(str(size)) for size in tensor.shape]), ir.TensorType(tensor.dtype)
        value = ir.Value(name=tensor.name, shape=shape, type=kind, const_value=tensor)
        self._graph.register_initializer(value)
        return value

    def before(
        self,
        owner: ir.Node,
        operator: str,
        inputs: Sequence[ir.Value | None],
        dtype: ir.DataType,
        attributes: dict[str, Any] | None = None,
        domain: str = "",
    ) -> ir.Value:
        """Insert a node before another one that it serves; gives its output."""
        node = self._node(owner, operator, inputs, dtype, attributes, domain, label=operator.lower())
        self._graph.insert_before(owner, node)
        return node.outputs[0]

    def after(self, owner: ir.Node, operator: str, dtype: ir.DataType, attributes: dict[str, Any]) -> ir.Value:
        """Insert a node behind another one's output, for all that reads it, under that output's name."""
        import onnx_ir as ir

        old = owner.outputs[0]
        label = old.name
        node = self._node(owner, operator, [old], dtype, attributes, "", label=operator.lower())
        made = node.outputs[0]
        old.replace_all_uses_with(made, replace_graph_outputs=True)
        node.replace_input_with(0, old)
        self._graph.insert_after(owner, node)
        old.name, made.name = f"{made.name}", label
        if made.is_graph_output():
            made.type = ir.TensorType(dtype)
        return made

    def instead(
        self,
        old: ir.Node,
        operator: str,
        inputs: Sequence[ir.Value | None],
        attributes: dict[str, Any] | None = None,
        domain: str = "",
    ) -> None:
        """Put a node of one output in another one's place; it takes over name and output."""
        import onnx_ir as ir

        attached = [ir.convenience.convert_attribute(name, value) for name, value in (attributes or {}).items()]
        given = old.outputs[0]
        output = ir.Value(type=given.type, shape=given.shape)
        node = ir.Node(domain, operator, inputs, attached, outputs=[output], name=old.name)
        ir.convenience.replace_nodes_and_values(self._graph, old, [old], [node], [given], [output])

    def forget(self, value: ir.Value) -> None:
        """Remove a weight that nothing reads any more."""
        producer = value.producer()
        if value.uses() or value.is_graph_output():
            return
        if producer is not None:
            self._graph.remove(producer, safe=True)
        else:
            self._graph.initializers.pop(str(value.name), None)

    def _node(
        self,
        owner: ir.Node,
        operator: str,
        inputs: Sequence[ir.Value | None],
        dtype: ir.DataType,
        attributes: dict[str, Any] | None,
        domain: str,
        label: str,
    ) -> ir.Node:
        import onnx_ir as ir

        name = self._free(f"{owner.name}_{label}", self._nodes)
        output = ir.Value(name=self._free(f"{name}_out", self._values), type=ir.TensorType(dtype))
        attached = [ir.convenience.convert_attribute(key, value) for key, value in (attributes or {}).items()]
        self.added[name], self.operators[name] = (str(owner.name),), operator
        return ir.Node(domain, operator, inputs, attached, outputs=[output], name=name)

    @staticmethod
    def _free(name: str, taken: set[Any]) -> str:
        while name in taken:
            name += "'"
        taken.add(name)
        return name
