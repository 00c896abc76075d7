"""What is known of the selected node."""

from __future__ import annotations

from html import escape

from PySide6.QtWidgets import QTextBrowser, QWidget

from studio.jobs.tasks.graph_layout import DrawnGraph, DrawnNode

HINT = "Click a node to see its attributes, tensors and weights."


class NodeDetails(QTextBrowser):
    """Attributes, inputs, weights and outputs of one node, and where it came from."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QTextBrowser.Shape.NoFrame)
        self.setAccessibleName("Details of the selected node")
        self.show_node(None, None, ())

    def show_node(self, graph: DrawnGraph | None, node: DrawnNode | None, sources: tuple[str, ...]) -> None:
        """Show a node; `sources` are the baseline's nodes that it came from."""
        if graph is None or node is None:
            self.setHtml(f"<p>{HINT}</p>")
            return
        parts = [f"<h3>{escape(node.operator)}</h3><p>{escape(node.name)}</p>"]
        if node.macs:
            parts.append(f"<p>{node.macs:,} multiply-accumulates</p>")
        weights = [(name, graph.weights[name]) for name in node.inputs if name in graph.weights]
        tensors = [(name, "") for name in node.inputs if name and name not in graph.weights]
        outputs = [(name, node.shape if at == 0 else "") for at, name in enumerate(node.outputs) if name]
        parts += [
            _section("Attributes", list(node.attributes.items())),
            _section("Inputs", tensors),
            _section("Weights", weights),
            _section("Outputs", outputs),
            _section("Came from", [(name, "") for name in sources if sources != (node.name,)]),
        ]
        self.setHtml("".join(parts))


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    body = "".join(f"<tr><td>{escape(name)}&nbsp;</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<h4>{title}</h4><table cellspacing='2'>{body}</table>"
