"""Where everything of a laid-out graph stands, and what of it is in a view. No widget, no painting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from PySide6.QtCore import QPointF, QRectF

from studio.jobs.tasks.graph_layout import DrawnGraph, DrawnNode

WIDTH, HEIGHT = 168.0, 44.0
STEP_X, STEP_Y = 190.0, 84.0
#: edges over more rows than this are looked at on every paint; the others are found by their row
LONG = 6


@dataclass
class Scene:
    """A graph in scene coordinates: x to the right, y down, one unit a pixel at zoom 1."""

    graph: DrawnGraph
    _rows: dict[int, list[int]] = field(default_factory=dict)
    _near: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    _far: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        nodes = self.graph.nodes
        for index, node in enumerate(nodes):
            self._rows.setdefault(node.rank, []).append(index)
        for source, target in self.graph.edges:
            first, last = nodes[source].rank, nodes[target].rank
            if last - first > LONG:
                self._far.append((source, target))
            else:
                self._near.setdefault(first, []).append((source, target))
        self.index = {node.name: at for at, node in enumerate(nodes)}
        self.bounds = self._bounds()

    @property
    def nodes(self) -> tuple[DrawnNode, ...]:
        """The nodes in topological order."""
        return self.graph.nodes

    def rect(self, index: int) -> QRectF:
        """Give the rectangle of a node."""
        node = self.graph.nodes[index]
        return QRectF(node.x * STEP_X - WIDTH / 2, node.rank * STEP_Y, WIDTH, HEIGHT)

    def visible_nodes(self, view: QRectF) -> Iterator[int]:
        """Give the nodes that a view shows a part of."""
        for row in self._visible_rows(view, 0):
            for index in self._rows.get(row, ()):
                if self.rect(index).intersects(view):
                    yield index

    def visible_edges(self, view: QRectF) -> Iterator[tuple[QPointF, QPointF]]:
        """Give start and end of the edges that may cross a view."""
        for row in self._visible_rows(view, LONG):
            for edge in self._near.get(row, ()):
                yield from self._line(edge, view)
        for edge in self._far:
            yield from self._line(edge, view)

    def node_at(self, place: QPointF) -> int | None:
        """Give the node at a point."""
        row = int(place.y() // STEP_Y)
        for index in self._rows.get(row, ()):
            if self.rect(index).contains(place):
                return index
        return None

    def neighbour(self, index: int, *, down: bool) -> int | None:
        """Give the first node that uses a node's output, or that makes its input."""
        for source, target in self.graph.edges:
            if down and source == index:
                return target
            if not down and target == index:
                return source
        return None

    def find(self, text: str, after: int | None) -> int | None:
        """Give the next node whose name, operator or tensors hold a text, case ignored; round to the beginning."""
        wanted, count = text.lower(), len(self.nodes)
        start = 0 if after is None else after + 1
        for at in chain(range(start, count), range(start)):
            node = self.nodes[at]
            if any(wanted in part.lower() for part in (node.name, node.operator, *node.outputs, *node.inputs)):
                return at
        return None

    def _visible_rows(self, view: QRectF, above: int) -> range:
        return range(int(view.top() // STEP_Y) - 1 - above, int(view.bottom() // STEP_Y) + 2)

    def _line(self, edge: tuple[int, int], view: QRectF) -> Iterator[tuple[QPointF, QPointF]]:
        first, last = self.rect(edge[0]), self.rect(edge[1])
        start, end = QPointF(first.center().x(), first.bottom()), QPointF(last.center().x(), last.top())
        left, right = sorted((start.x(), end.x()))
        if right >= view.left() and left <= view.right() and end.y() >= view.top() and start.y() <= view.bottom():
            yield start, end

    def _bounds(self) -> QRectF:
        if not self.graph.nodes:
            return QRectF(0, 0, WIDTH, HEIGHT)
        xs = [node.x for node in self.graph.nodes]
        bottom = max(node.rank for node in self.graph.nodes)
        left, right = min(xs) * STEP_X - WIDTH / 2, max(xs) * STEP_X + WIDTH / 2
        return QRectF(left, 0, right - left, bottom * STEP_Y + HEIGHT)
