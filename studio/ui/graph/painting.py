"""Painting a scene in as much detail as the zoom allows: cards, bars, or single pixels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPainterPath, QPen

from studio.ui.graph.overlay import Overlay, colours
from studio.ui.graph.scene import HEIGHT, WIDTH, Frame, Scene
from studio.ui.theme import Tokens

#: below this zoom text cannot be read and is left out
READABLE = 0.45
#: below this zoom everything is set pixel by pixel
TINY = 0.16
#: more edges than this in a view are a blot
MOST_EDGES = 6000
#: names of the other ends of cut edges that are listed at a card
MOST_STUBS = 2


@dataclass
class Look:
    """How a scene looks now: theme, overlay, marks and selection."""

    tokens: Tokens
    overlay: Overlay | None = None
    marked: frozenset[int] = frozenset()
    ringed: frozenset[int] = frozenset()
    selected: int | None = None
    kinds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class Coat:
    """Colours and texts of all items under a look."""

    fill: NDArray[np.uint8]
    values: NDArray[np.float64] | None
    text: Callable[[float], str]
    notes: Mapping[int, str] | None = None


def coat_of(scene: Scene, look: Look) -> Coat:
    """Work out the colour of every item, once for a scene and a look."""
    if look.overlay is None:
        kinds = Overlay("Kind", look.kinds, str, classes=("",)).of_items(scene.picture)
        fill, _ = colours(kinds, look.tokens, 1)
        return Coat(fill, None, str)
    values = look.overlay.of_items(scene.picture)
    fill, _ = colours(values, look.tokens, len(look.overlay.classes), inverted=look.overlay.inverted)
    return Coat(fill, values, look.overlay.text, look.overlay.notes)


def paint_scene(painter: QPainter, scene: Scene, look: Look, coat: Coat, view: QRectF, zoom: float) -> None:
    """Paint what is in a view, at a zoom, with the painter's origin at the view's corner and in device units."""
    if zoom < TINY:
        _paint_pixels(painter, scene, look, coat, view, zoom)
        return
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, zoom >= READABLE)
    painter.scale(zoom, zoom)
    painter.translate(-view.topLeft())
    for frame in scene.frames:
        if frame.rect.intersects(view):
            _paint_frame(painter, scene, look, frame, readable=zoom >= READABLE)
    _paint_edges(painter, scene, look, view, curved=zoom >= READABLE)
    items = scene.visible_items(view)
    if zoom < READABLE:
        _paint_bars(painter, scene, look, coat, items)
        return
    for item in items.tolist():
        _paint_card(painter, scene, look, coat, item)


def _paint_pixels(painter: QPainter, scene: Scene, look: Look, coat: Coat, view: QRectF, zoom: float) -> None:
    """Set pixels: the whole of a graph of any size in a few milliseconds."""
    ratio = painter.device().devicePixelRatio()
    across, down = max(1, int(view.width() * zoom * ratio)), max(1, int(view.height() * zoom * ratio))
    pixels = raster(scene, coat, view, (across, down))
    chosen = [item for item in (*look.marked, *look.ringed, look.selected) if item is not None and item < scene.count]
    if chosen:
        accent = QColor(look.tokens.accent)
        dots(pixels, scene, np.array(chosen), (accent.red(), accent.green(), accent.blue()), view)
    image = QImage(pixels.tobytes(), across, down, across * 4, QImage.Format.Format_ARGB32)
    painter.drawImage(QRectF(0, 0, view.width() * zoom, view.height() * zoom), image)


def raster(scene: Scene, coat: Coat, view: QRectF, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw the items in a view into pixels ``(height, width, 4)``, blue first; transparent where nothing is."""
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    dots(pixels, scene, scene.visible_items(view), coat.fill, view)
    return pixels


def dots(
    pixels: NDArray[np.uint8],
    scene: Scene,
    items: NDArray[np.intp],
    fill: NDArray[np.uint8] | tuple[int, int, int],
    view: QRectF,
) -> None:
    """Fill the rectangles of items, at least a pixel each."""
    height, width = pixels.shape[:2]
    zoom_x, zoom_y = width / max(view.width(), 1e-9), height / max(view.height(), 1e-9)
    left = ((scene.left[items] - view.left()) * zoom_x).astype(int)
    top = ((scene.top[items] - view.top()) * zoom_y).astype(int)
    color = fill[items][:, ::-1] if isinstance(fill, np.ndarray) else np.array(fill[::-1], np.uint8)
    for row in range(max(1, round(HEIGHT * zoom_y))):
        for column in range(max(1, round(WIDTH * zoom_x))):
            x, y = left + column, top + row
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            pixels[y[inside], x[inside], :3] = color[inside] if color.ndim == 2 else color
            pixels[y[inside], x[inside], 3] = 255


def _paint_frame(painter: QPainter, scene: Scene, look: Look, frame: Frame, *, readable: bool) -> None:
    painter.setPen(QPen(QColor(look.tokens.line), 1.2, Qt.PenStyle.DashLine))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(frame.rect, 8, 8)
    if readable:
        painter.setPen(QColor(look.tokens.dim))
        title = scene.title(frame).adjusted(8, 0, -4, 0)
        text = f"▾ {scene.picture.blocks[frame.block].title}"
        _text(painter, title, text, Qt.TextElideMode.ElideRight)


def _paint_edges(painter: QPainter, scene: Scene, look: Look, view: QRectF, *, curved: bool) -> None:
    painter.setPen(QPen(QColor(look.tokens.dim), 0 if not curved else 1.2))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    edges = scene.visible_edges(view)
    if len(edges) > MOST_EDGES:
        return
    if curved:
        path = QPainterPath()
        for edge in edges.tolist():
            _curve(path, scene, edge)
        painter.drawPath(path)
        return
    lines = []
    for edge in edges.tolist():
        points = scene.route(edge).tolist()
        lines += [QLineF(*points[at], *points[at + 1]) for at in range(len(points) - 1)]
    painter.drawLines(lines)


def _curve(path: QPainterPath, scene: Scene, edge: int) -> None:
    """Add an edge: it leaves and arrives upright, and bends between its corners."""
    points = scene.route(edge).tolist()
    path.moveTo(*points[0])
    for before, after in itertools.pairwise(points):
        if abs(before[0] - after[0]) < 0.5:
            path.lineTo(*after)
        else:
            middle = (before[1] + after[1]) / 2
            path.cubicTo(before[0], middle, after[0], middle, *after)


def _paint_bars(painter: QPainter, scene: Scene, look: Look, coat: Coat, items: NDArray[np.intp]) -> None:
    """Paint items as plain rectangles, those of a colour together."""
    painter.setPen(Qt.PenStyle.NoPen)
    codes = coat.fill[items].astype(np.int64) @ np.array([65536, 256, 1])
    for code in np.unique(codes).tolist():
        painter.setBrush(QColor((code >> 16) & 255, (code >> 8) & 255, code & 255))
        chosen = items[codes == code].tolist()
        painter.drawRects([scene.rect(item) for item in chosen])
    painter.setBrush(QColor(look.tokens.accent))
    shown = set(items.tolist())
    chosen = [item for item in (*look.marked, *look.ringed, look.selected) if item is not None and item in shown]
    painter.drawRects([scene.rect(item) for item in chosen])


def _paint_card(painter: QPainter, scene: Scene, look: Look, coat: Coat, item: int) -> None:
    tokens, rect = look.tokens, scene.rect(item)
    marked, chosen = item in look.marked, item == look.selected
    color = QColor(*(int(part) for part in coat.fill[item]))
    block = scene.block(item)
    painter.setPen(QPen(QColor(tokens.accent if chosen or marked else tokens.line), 2.5 if chosen else 1.5))
    painter.setBrush(QColor(tokens.selection if marked else tokens.raised))
    if block is not None:
        painter.drawRoundedRect(rect.translated(4, 4), 6, 6)
    painter.drawRoundedRect(rect, 6, 6)
    wide = 26.0 if coat.values is not None and np.isfinite(coat.values[item]) else 6.0
    path = QPainterPath()
    path.addRoundedRect(rect.adjusted(1.5, 1.5, wide - WIDTH, -1.5), 4, 4)
    painter.fillPath(path, color)
    if item in look.ringed:
        painter.setPen(QPen(QColor(tokens.warning), 2.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(rect.adjusted(-4, -4, 4, 4), 8, 8)
    upper = QRectF(rect.left() + wide + 7, rect.top() + 3, WIDTH - wide - 12, HEIGHT / 2 - 3)
    lower = upper.translated(0, HEIGHT / 2 - 3)
    title, below = _card_texts(scene, coat, item)
    painter.setPen(QColor(tokens.on_selection if marked else tokens.text))
    _text(painter, upper, title, Qt.TextElideMode.ElideRight)
    painter.setPen(QColor(tokens.on_selection if marked else tokens.dim))
    _text(painter, lower, below, Qt.TextElideMode.ElideMiddle)
    _paint_stubs(painter, scene, look, item)


def _card_texts(scene: Scene, coat: Coat, item: int) -> tuple[str, str]:
    """Give the two lines of a card."""
    block, picture = scene.block(item), scene.picture
    value = coat.values[item] if coat.values is not None else np.nan
    said = coat.text(float(value)) if np.isfinite(value) else ""
    if block is not None:
        return f"▸ {block.title}", said or f"{len(block.nodes)} nodes"
    node = int(picture.node[item])
    if coat.notes and node in coat.notes:
        said = coat.notes[node]
    return picture.operators[node], said or picture.shapes[node].partition(" ")[2] or picture.names[node]


def _paint_stubs(painter: QPainter, scene: Scene, look: Look, item: int) -> None:
    """Name the other ends of edges that are not drawn."""
    above, below = scene.cut.get(item, ((), ()))
    painter.setPen(QColor(look.tokens.link))
    rect = scene.rect(item)
    for others, arrow, place in (
        (above, "↑", QRectF(rect.left(), rect.top() - 16, WIDTH, 14)),
        (below, "↓", QRectF(rect.left(), rect.bottom() + 2, WIDTH, 14)),
    ):
        if others:
            names = ", ".join(name_of(scene, other) for other in others[:MOST_STUBS])
            more = f" and {len(others) - MOST_STUBS} more" if len(others) > MOST_STUBS else ""
            _text(painter, place, f"{arrow} {names}{more}", Qt.TextElideMode.ElideMiddle)


def name_of(scene: Scene, item: int) -> str:
    """Name an item as a person would."""
    block = scene.block(item)
    if block is not None:
        return block.title
    return scene.picture.names[int(scene.picture.node[item])]


def _text(painter: QPainter, place: QRectF, text: str, elide: Qt.TextElideMode) -> None:
    metrics = QFontMetricsF(painter.font())
    left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
    painter.drawText(place, left, metrics.elidedText(text, elide, place.width()))
