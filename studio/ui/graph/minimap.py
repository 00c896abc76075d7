"""The whole graph in a corner, and the part of it that is in view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from studio.ui.graph.painting import Coat, raster
from studio.ui.graph.scene import Scene
from studio.ui.theme import Tokens

if TYPE_CHECKING:
    from studio.ui.graph.canvas import GraphCanvas

WIDTH, GAP = 90, 8
#: its height as a share of the canvas's, and at most
SHARE, HIGHEST = 0.4, 220
PADDING = 40.0
#: a small map of a small graph helps nobody
FEWEST = 12
#: pixels of a canvas below which the map covers too much of it
NARROW = 280


class Minimap(QWidget):
    """Shows the canvas's scene whole; a press or drag goes there.

    A tall graph is stretched to the map's shape, since at its own it would be a thread.
    """

    def __init__(self, canvas: GraphCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._image = QImage()
        self._area = QRectF()
        self._tokens: Tokens | None = None
        self._useful = False
        self.setFixedSize(WIDTH, HIGHEST)
        self.setAccessibleName("Overview of the graph")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.hide()

    def place(self) -> None:
        """Go to the canvas's upper right corner; not on a narrow one, which it would cover."""
        self.setVisible(self._useful and self._canvas.width() >= NARROW)
        self.setFixedHeight(max(60, min(HIGHEST, int(SHARE * self._canvas.height()))))
        self.move(self._canvas.width() - WIDTH - GAP, GAP)

    def set_picture(self, scene: Scene | None, coat: Coat | None, tokens: Tokens) -> None:
        """Show another graph, or the same in other colours."""
        self._tokens = tokens
        shown = scene is not None and coat is not None and scene.count >= FEWEST
        self._useful = shown
        if scene is not None and coat is not None and shown:
            self._area = scene.bounds.adjusted(-PADDING, -PADDING, PADDING, PADDING)
            pixels = raster(scene, coat, self._area, (WIDTH, HIGHEST))
            self._image = QImage(pixels.tobytes(), WIDTH, HIGHEST, WIDTH * 4, QImage.Format.Format_ARGB32).copy()
        self.place()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        if self._tokens is None:
            return
        painter = QPainter(self)
        try:
            back = QColor(self._tokens.window)
            back.setAlpha(225)
            painter.fillRect(self.rect(), back)
            painter.drawImage(self.rect(), self._image)
            painter.setPen(QColor(self._tokens.line))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
            painter.setPen(QColor(self._tokens.accent))
            painter.drawRect(self._shown().intersected(QRectF(self.rect()).adjusted(0, 0, -1, -1)))
        finally:
            painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        self._go(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        self._go(event.position())

    def _shown(self) -> QRectF:
        view, area = self._canvas.view, self._area
        across, down = WIDTH / max(area.width(), 1.0), self.height() / max(area.height(), 1.0)
        left, top = (view.left() - area.left()) * across, (view.top() - area.top()) * down
        return QRectF(left, top, max(3.0, view.width() * across), max(3.0, view.height() * down))

    def _go(self, place: QPointF) -> None:
        area = self._area
        target = QPointF(
            area.left() + place.x() / WIDTH * area.width(), area.top() + place.y() / self.height() * area.height()
        )
        self._canvas.center(target)
