"""The graph as a picture: what is seen, or the whole of it."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter

from studio.ui.graph.canvas import GraphCanvas
from studio.ui.graph.painting import READABLE, TINY, Coat, coat_of, paint_scene
from studio.ui.graph.scene import Scene
from studio.ui.pictures import LARGEST, Picture, PictureMenu

#: room around a whole graph, in units of the scene
MARGIN = 24.0


def offer_pictures(canvas: GraphCanvas) -> PictureMenu:
    """Let a canvas be copied and saved."""
    return PictureMenu(canvas, partial(seen, canvas), {"the whole graph": partial(whole, canvas)}, corner="bottom left")


def seen(canvas: GraphCanvas) -> Picture | None:
    """Give what the canvas shows now; None without a graph."""
    if canvas.scene is None:
        return None
    return _picture(canvas, canvas.scene, canvas.view, canvas.zoom)


def whole(canvas: GraphCanvas) -> Picture | None:
    """Give the whole graph, at a zoom at which its cards can be read where that is not too large a picture."""
    scene = canvas.scene
    if scene is None:
        return None
    view = scene.bounds.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN)
    zoom = min(1.0, LARGEST / max(view.width(), view.height()))
    # Below this zoom cards become pixels: a taller picture of lines says more.
    return _picture(canvas, scene, view, max(zoom, TINY, READABLE if zoom > 0.6 * READABLE else TINY))


def _picture(canvas: GraphCanvas, scene: Scene, view: QRectF, zoom: float) -> Picture:
    look = canvas.look
    coat: Coat = coat_of(scene, look)

    def paint(painter: QPainter, _: QRectF) -> None:
        painter.save()
        paint_scene(painter, scene, look, coat, view, zoom)
        painter.restore()

    size = QSize(max(1, round(view.width() * zoom)), max(1, round(view.height() * zoom)))
    title = "Graph" if look.overlay is None else f"Graph by {look.overlay.title.lower()}"
    return Picture(title, size, look.tokens.surface, paint)
