"""What is known of the selected node or block."""

from __future__ import annotations

from html import escape

from PySide6.QtWidgets import QTextBrowser, QWidget

from studio.core.drawing.blocks import Block
from studio.core.nodeinfo import NodeInfo, WeightInfo
from studio.ui.graph.scene import Scene

HINT = "Click a node to see its attributes, tensors and weights; double-click a block to open it."
BARS = "▁▂▃▄▅▆▇█"
#: nodes of a block that are listed
MOST = 40


class NodeDetails(QTextBrowser):
    """Attributes, tensors, weights and documentation of one node, or what is in a block."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, openExternalLinks=True)
        self.setFrameShape(QTextBrowser.Shape.NoFrame)
        self.setAccessibleName("Details of the selected node")
        self.clear_node()

    def clear_node(self) -> None:
        """Say what to do."""
        self.setHtml(f"<p>{HINT}</p>")

    def show_block(self, scene: Scene, block: Block) -> None:
        """Show a collapsed block."""
        picture, nodes = scene.picture, list(block.nodes)
        facts = [
            f"{len(nodes):,} nodes",
            f"{int(picture.macs[nodes].sum()):,} multiply-accumulates",
            f"{int(picture.weights[nodes].sum()):,} bytes of weights",
        ]
        listed = [(picture.operators[node], picture.names[node]) for node in nodes[:MOST]]
        more = f"<p>and {len(nodes) - MOST} more</p>" if len(nodes) > MOST else ""
        self.setHtml(
            f"<h3>{escape(block.title)}</h3>"
            + "".join(f"<p>{fact}</p>" for fact in facts)
            + _section("Nodes", listed)
            + more
        )

    def show_node(self, scene: Scene, node: int, info: NodeInfo | None, sources: tuple[str, ...]) -> None:
        """Show a node; without `info` what the picture knows. `sources` are the baseline's nodes that it came from."""
        picture = scene.picture
        name = picture.names[node]
        parts = [f"<h3>{escape(picture.operators[node])}</h3><p>{escape(name)}</p>"]
        if picture.macs[node]:
            parts.append(f"<p>{int(picture.macs[node]):,} multiply-accumulates</p>")
        if info is None:
            parts.append("<p>Reading …</p>")
        else:
            outputs = dict(info.outputs)
            first = next(iter(outputs), None)
            if first is not None:
                outputs[first] = picture.shapes[node] or outputs[first]
            parts += [
                _section("Attributes", list(info.attributes.items())),
                _section("Inputs", list(info.inputs.items())),
                "".join(_weight(weight) for weight in info.weights),
                _section("Outputs", list(outputs.items())),
            ]
        parts.append(_section("Came from", [(source, "") for source in sources if sources != (name,)]))
        if info is not None and info.document:
            parts.append(f"<h4>{info.domain} {info.operator}, opset {info.opset}</h4>")
            parts.append(f"<p>{escape(info.document).replace(chr(10) * 2, '</p><p>')}</p>")
        self.setHtml("".join(parts))


def bars(counts: tuple[int, ...]) -> str:
    """Draw a histogram in one line of text."""
    highest = max(counts, default=0)
    if not highest:
        return ""
    # the root keeps rare bins in sight
    steps = [round((count / highest) ** 0.5 * (len(BARS) - 1)) for count in counts]
    return "".join(BARS[step] if count else " " for step, count in zip(steps, counts, strict=True))


def _weight(weight: WeightInfo) -> str:
    shape = " x ".join(str(size) for size in weight.shape) or "scalar"
    rows = [("", f"{weight.dtype}, {shape}, {weight.bytes:,} bytes")]
    if weight.low is not None and weight.high is not None:
        rows += [
            ("", f"<span style='font-family: monospace'>{bars(weight.histogram)}</span>"),
            ("", f"{weight.low:.4g} … {weight.high:.4g}"),
            ("", f"mean {weight.mean or 0:.4g}, deviation {weight.deviation or 0:.4g}, zeros {weight.zeros or 0:.1%}"),
        ]
    if weight.sampled:
        rows.append(("", "of a part of it"))
    body = "".join(f"<tr><td>{value}</td></tr>" for _, value in rows)
    return f"<h4>Weight {escape(weight.name)}</h4><table cellspacing='2'>{body}</table>"


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    body = "".join(f"<tr><td>{escape(name)}&nbsp;</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<h4>{title}</h4><table cellspacing='2'>{body}</table>"
