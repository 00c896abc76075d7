"""Names that are free, and constants that nothing uses any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio.api import named_nodes

if TYPE_CHECKING:
    import onnx_ir as ir


class Names:
    """The names of a model's nodes and tensors, subgraphs included."""

    def __init__(self, model: ir.Model) -> None:
        self._taken = {name for name, _ in named_nodes(model)}
        for graph in (model.graph, *model.graph.subgraphs()):
            self._taken |= {str(value.name) for value in (*graph.inputs, *graph.initializers.values())}
            self._taken |= {str(value.name) for node in graph for value in node.outputs}

    def unique(self, name: str) -> str:
        """Give a name, changed where it is taken, and take it."""
        while name in self._taken:
            name += "'"
        self._taken.add(name)
        return name

    def prefix(self, text: str) -> str:
        """Give a text that no name begins with."""
        while any(name.startswith(text) for name in self._taken):
            text += "'"
        self._taken.add(text)
        return text


def drop_unused(value: ir.Value | None) -> None:
    """Remove a constant that nothing uses any more, and the nodes that only led to it."""
    while value is not None and not value.uses() and not value.is_graph_output():
        node = value.producer()
        if node is None:
            if value.is_initializer() and not value.is_graph_input() and value.graph is not None:
                value.graph.initializers.pop(str(value.name), None)
            return
        value = node.inputs[0] if node.inputs else None
        if node.graph is not None:
            node.graph.remove(node, safe=True)
