"""The canvas: pans, zooms, paints what is in view in as much detail as the zoom allows."""

from __future__ import annotations

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QWidget

from studio.ui.graph.kinds import color_of
from studio.ui.graph.scene import HEIGHT, Scene
from studio.ui.theme import Tokens

SMALLEST, LARGEST = 0.02, 3.0
#: below this zoom text cannot be read and is left out
READABLE = 0.45
MARGIN = 24.0
#: a press that moves less than this many pixels is a click
CLICK = 4.0
EMPTY = "Open a model to see its graph."


class GraphCanvas(QWidget):
    """Shows a scene; emits the index of the node that was clicked, -1 for none."""

    clicked = Signal(int)

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._scene: Scene | None = None
        self._zoom = 1.0
        self._origin = QPointF(0, 0)
        self._pressed: QPointF | None = None
        self._last = QPointF(0, 0)
        self._marked: frozenset[int] = frozenset()
        self.selected: int | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(200, 160)
        self.setAccessibleName("Graph of the model")
        self.setToolTip("Drag to pan, wheel to zoom, arrows to travel along edges, F to fit")

    def set_scene(self, scene: Scene | None) -> None:
        """Show another graph from its top."""
        self._scene, self.selected, self._marked = scene, None, frozenset()
        self.start()

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self._tokens = tokens
        self.update()

    def mark(self, nodes: frozenset[int]) -> None:
        """Set some nodes off from the others."""
        self._marked = nodes
        self.update()

    def select(self, index: int | None, *, show: bool = False) -> None:
        """Select a node; with `show` bring it to the middle."""
        self.selected = index
        if show and index is not None and self._scene is not None:
            self._zoom = max(self._zoom, 0.8)
            self._center(self._scene.rect(index).center())
        self.update()

    def start(self) -> None:
        """Show the top of the graph in readable size."""
        if self._scene is not None:
            bounds = self._scene.bounds
            self._zoom = min(1.0, max(0.6, self.width() / (bounds.width() + 2 * MARGIN)))
            first = self._scene.rect(0).center().x() if self._scene.nodes else 0.0
            self._origin = QPointF(first - self.width() / 2 / self._zoom, -MARGIN)
        self.update()

    def fit(self) -> None:
        """Show the whole graph."""
        if self._scene is not None:
            bounds = self._scene.bounds.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN)
            wanted = min(self.width() / bounds.width(), self.height() / bounds.height())
            self._zoom = min(1.0, max(SMALLEST, wanted))
            self._center(bounds.center())

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom around a point of the widget, its middle by default."""
        place = at if at is not None else QPointF(self.rect().center())
        before = self._to_scene(place)
        self._zoom = min(LARGEST, max(SMALLEST, self._zoom * factor))
        self._origin += before - self._to_scene(place)
        self.update()

    @property
    def view(self) -> QRectF:
        """The part of the scene that is shown."""
        return QRectF(self._origin.x(), self._origin.y(), self.width() / self._zoom, self.height() / self._zoom)

    # events

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        try:
            painter.fillRect(self.rect(), QColor(self._tokens.surface))
            if self._scene is None:
                painter.setPen(QColor(self._tokens.dim))
                painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, EMPTY)
                return
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, self._zoom >= READABLE)
            painter.scale(self._zoom, self._zoom)
            painter.translate(-self._origin)
            self._paint_edges(painter, self._scene)
            for index in self._scene.visible_nodes(self.view):
                self._paint_node(painter, self._scene, index)
        finally:
            # An exception with the painter still active would end the process.
            painter.end()

    def _paint_edges(self, painter: QPainter, scene: Scene) -> None:
        painter.setPen(QPen(QColor(self._tokens.dim), 0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._zoom < READABLE:
            painter.drawLines([QLineF(start, end) for start, end in scene.visible_edges(self.view)])
            return
        for start, end in scene.visible_edges(self.view):
            bend = (end.y() - start.y()) / 2
            path = QPainterPath(start)
            path.cubicTo(start + QPointF(0, bend), end - QPointF(0, bend), end)
            painter.drawPath(path)

    def _paint_node(self, painter: QPainter, scene: Scene, index: int) -> None:
        node, rect = scene.nodes[index], scene.rect(index)
        color = QColor(color_of(node.operator, self._tokens))
        if self._zoom < READABLE:
            painter.fillRect(rect, QColor(self._tokens.accent) if index in self._marked else color)
            return
        edge = self._tokens.accent if index == self.selected or index in self._marked else self._tokens.line
        painter.setPen(QPen(QColor(edge), 2.5 if index == self.selected else 1.5))
        painter.setBrush(QColor(self._tokens.selection if index in self._marked else self._tokens.raised))
        painter.drawRoundedRect(rect, 5, 5)
        painter.fillRect(QRectF(rect.left() + 1, rect.top() + 5, 5, HEIGHT - 10), color)
        metrics = painter.fontMetrics()
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        upper = QRectF(rect.left() + 13, rect.top() + 3, rect.width() - 18, HEIGHT / 2 - 3)
        painter.setPen(QColor(self._tokens.on_selection if index in self._marked else self._tokens.text))
        painter.drawText(
            upper, left, metrics.elidedText(node.operator, Qt.TextElideMode.ElideRight, int(upper.width()))
        )
        painter.setPen(QColor(self._tokens.on_selection if index in self._marked else self._tokens.dim))
        below = node.shape.partition(" ")[2] or node.name
        lower = upper.translated(0, HEIGHT / 2 - 3)
        painter.drawText(lower, left, metrics.elidedText(below, Qt.TextElideMode.ElideMiddle, int(lower.width())))

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: D102
        self.zoom_by(1.0015 ** event.angleDelta().y(), event.position())

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        self._pressed = self._last = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._pressed is not None:
            self._origin -= (event.position() - self._last) / self._zoom
            self._last = event.position()
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._pressed is None:
            return
        moved = event.position() - self._pressed
        self._pressed = None
        if self._scene is not None and abs(moved.x()) + abs(moved.y()) < CLICK:
            self._choose(self._scene.node_at(self._to_scene(event.position())))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        key = event.key()
        if key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom_by(1.25)
        elif key == Qt.Key.Key_Minus:
            self.zoom_by(0.8)
        elif key == Qt.Key.Key_F:
            self.fit()
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._travel(down=key == Qt.Key.Key_Down)
        else:
            super().keyPressEvent(event)

    def _travel(self, *, down: bool) -> None:
        if self._scene is None or not self._scene.nodes:
            return
        target = 0 if self.selected is None else self._scene.neighbour(self.selected, down=down)
        if target is not None:
            self._choose(target)
            self.select(target, show=True)

    def _choose(self, index: int | None) -> None:
        self.select(index)
        self.clicked.emit(-1 if index is None else index)

    def _center(self, place: QPointF) -> None:
        self._origin = place - QPointF(self.width(), self.height()) / (2 * self._zoom)
        self.update()

    def _to_scene(self, place: QPointF) -> QPointF:
        return self._origin + place / self._zoom
