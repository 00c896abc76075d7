"""The canvas: pans, zooms, selects; what it shows is painted by `painting`."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from studio.ui.graph.kinds import kinds
from studio.ui.graph.minimap import Minimap
from studio.ui.graph.overlay import Overlay
from studio.ui.graph.painting import Coat, Look, coat_of, paint_scene
from studio.ui.graph.scene import Scene
from studio.ui.theme import Tokens

SMALLEST, LARGEST = 0.002, 3.0
MARGIN = 24.0
#: a press that moves less than this many pixels is a click
CLICK = 4.0
EMPTY = "Open a model to see its graph."
HELP = (
    "Drag to pan, wheel to zoom, double-click a block to open or close it, Shift and drag to select several, "
    "arrows to travel along edges, Enter to open or close, F to fit"
)


class GraphCanvas(QWidget):
    """Shows a scene.

    `clicked` gives the item that was chosen, -1 for none; `toggled` a block that is to be opened or closed;
    `gathered` the items inside a rectangle that was drawn with Shift held; `moved` that the view is another.
    """

    clicked = Signal(int)
    toggled = Signal(int)
    gathered = Signal(object)
    moved = Signal()

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = Look(tokens)
        self._scene: Scene | None = None
        self._coat: Coat | None = None
        self._zoom = 1.0
        self._origin = QPointF(0, 0)
        self._pressed: QPointF | None = None
        self._last = QPointF(0, 0)
        self._lasso: QRectF | None = None
        self.minimap = Minimap(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(200, 160)
        self.setAccessibleName("Graph of the model")
        self.setToolTip(HELP)

    @property
    def scene(self) -> Scene | None:
        """What is shown."""
        return self._scene

    @property
    def selected(self) -> int | None:
        """The selected item."""
        return self._look.selected

    @property
    def look(self) -> Look:
        """Theme, overlay, marks and selection."""
        return self._look

    @property
    def zoom(self) -> float:
        """Pixels for each unit of the scene."""
        return self._zoom

    @property
    def view(self) -> QRectF:
        """The part of the scene that is shown."""
        return QRectF(self._origin.x(), self._origin.y(), self.width() / self._zoom, self.height() / self._zoom)

    def set_scene(self, scene: Scene | None, *, keep: QPointF | None = None) -> None:
        """Show another graph from its top; with `keep`, so much further on than now."""
        self._scene = scene
        self._look = Look(self._look.tokens, kinds=kinds(scene.picture) if scene else np.zeros(0))
        self._recoat()
        if keep is None:
            self.start()
        else:
            self._origin += keep
        self._changed()

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self._look.tokens = tokens
        self._recoat()

    def set_overlay(self, overlay: Overlay | None) -> None:
        """Colour nodes by something else; by their kind when None."""
        self._look.overlay = overlay
        self._recoat()

    def mark(self, items: frozenset[int], *, ringed: bool = False) -> None:
        """Set some items off from the others: filled, or with a ring around them."""
        if ringed:
            self._look.ringed = items
        else:
            self._look.marked = items
        self.update()

    def select(self, item: int | None, *, show: bool = False) -> None:
        """Select an item; with `show` bring it to the middle."""
        self._look.selected = item
        if show and item is not None and self._scene is not None:
            self._zoom = max(self._zoom, 0.8)
            self.center(self._scene.rect(item).center())
        self.update()

    def start(self) -> None:
        """Show the top of the graph in readable size."""
        if self._scene is not None and self._scene.count:
            bounds = self._scene.bounds
            self._zoom = min(1.0, max(0.6, self.width() / (bounds.width() + 2 * MARGIN)))
            first = self._scene.rect(int(np.argmin(self._scene.top))).center().x()
            self._origin = QPointF(first - self.width() / 2 / self._zoom, bounds.top() - MARGIN)
        self._changed()

    def fit(self) -> None:
        """Show the whole graph."""
        if self._scene is not None:
            bounds = self._scene.bounds.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN)
            wanted = min(self.width() / bounds.width(), self.height() / bounds.height())
            self._zoom = min(1.0, max(SMALLEST, wanted))
            self.center(bounds.center())

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom around a point of the widget, its middle by default."""
        place = at if at is not None else QPointF(self.rect().center())
        before = self._to_scene(place)
        self._zoom = min(LARGEST, max(SMALLEST, self._zoom * factor))
        self._origin += before - self._to_scene(place)
        self._changed()

    def center(self, place: QPointF) -> None:
        """Bring a point of the scene to the middle."""
        self._origin = place - QPointF(self.width(), self.height()) / (2 * self._zoom)
        self._changed()

    def scroll_to(self, origin: QPointF, zoom: float) -> None:
        """Show the same part as another canvas."""
        self._origin, self._zoom = origin, zoom
        self.update()
        self.minimap.update()

    # events

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102
        self.minimap.place()
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        try:
            painter.fillRect(self.rect(), QColor(self._look.tokens.surface))
            if self._scene is None or self._coat is None:
                painter.setPen(QColor(self._look.tokens.dim))
                painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, EMPTY)
                return
            painter.save()
            paint_scene(painter, self._scene, self._look, self._coat, self.view, self._zoom)
            painter.restore()
            if self._lasso is not None:
                painter.setPen(QColor(self._look.tokens.accent))
                painter.drawRect(self._lasso.normalized())
        finally:
            # An exception with the painter still active would end the process.
            painter.end()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: D102
        delta = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._origin -= QPointF(delta.y() or delta.x(), 0) / self._zoom
            self._changed()
        else:
            self.zoom_by(1.0015 ** delta.y(), event.position())

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        self._pressed = self._last = event.position()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._lasso = QRectF(event.position(), event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._pressed is None:
            return
        if self._lasso is not None:
            self._lasso.setBottomRight(event.position())
            self.update()
            return
        self._origin -= (event.position() - self._last) / self._zoom
        self._last = event.position()
        self._changed()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._pressed is None:
            return
        away = event.position() - self._pressed
        self._pressed, lasso, self._lasso = None, self._lasso, None
        if self._scene is None:
            return
        if abs(away.x()) + abs(away.y()) < CLICK:
            self._choose(self._scene.item_at(self._to_scene(event.position())))
        elif lasso is not None:
            inside = lasso.normalized()
            corner = self._to_scene(inside.topLeft())
            area = QRectF(corner.x(), corner.y(), inside.width() / self._zoom, inside.height() / self._zoom)
            self.gathered.emit(frozenset(self._scene.visible_items(area).tolist()))
            self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._scene is None:
            return
        place = self._to_scene(event.position())
        item = self._scene.item_at(place)
        frame = self._scene.frame_at(place) if item is None else None
        block = int(self._scene.picture.block[item]) if item is not None else frame.block if frame is not None else -1
        if block >= 0:
            self.toggled.emit(block)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        key = event.key()
        if key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom_by(1.25)
        elif key == Qt.Key.Key_Minus:
            self.zoom_by(0.8)
        elif key == Qt.Key.Key_F:
            self.fit()
        elif key == Qt.Key.Key_Home:
            self.start()
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._travel(down=key == Qt.Key.Key_Down)
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._step(right=key == Qt.Key.Key_Right)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.selected is not None:
            self._toggle(self.selected)
        else:
            super().keyPressEvent(event)

    def _travel(self, *, down: bool) -> None:
        if self._scene is None or not self._scene.count:
            return
        if self.selected is None:
            self._go(int(np.argmin(self._scene.top)))
            return
        found = self._scene.neighbours(self.selected, down=down)
        if len(found):
            self._go(int(found[len(found) // 2]))

    def _step(self, *, right: bool) -> None:
        if self._scene is not None and self.selected is not None:
            found = self._scene.beside(self.selected, right=right)
            if found is not None:
                self._go(found)

    def _toggle(self, item: int) -> None:
        """Open a collapsed block; on a node close the block that it is in."""
        if self._scene is None:
            return
        picture = self._scene.picture
        block = int(picture.block[item])
        if block < 0:
            node = int(picture.node[item])
            around = [index for index in picture.opened if node in picture.blocks[index].nodes]
            block = max(around, default=-1)
        if block >= 0:
            self.toggled.emit(block)

    def _go(self, item: int) -> None:
        self._choose(item)
        self.select(item, show=True)

    def _choose(self, item: int | None) -> None:
        self.select(item)
        self.clicked.emit(-1 if item is None else item)

    def _recoat(self) -> None:
        self._coat = coat_of(self._scene, self._look) if self._scene is not None else None
        self.minimap.set_picture(self._scene, self._coat, self._look.tokens)
        self.update()

    def _changed(self) -> None:
        self.update()
        self.minimap.update()
        self.moved.emit()

    def _to_scene(self, place: QPointF) -> QPointF:
        return self._origin + place / self._zoom
