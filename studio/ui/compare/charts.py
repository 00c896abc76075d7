"""Pareto front and radar of variants."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from studio.ui.charts.chart import Chart, Plot, color, draw_axes, draw_legend, legend_lines, make_plot, pen
from studio.ui.charts.scale import padded
from studio.ui.compare.rows import BY_KEY, QUANTITIES, CompareRow, Quantity, front
from studio.ui.theme import Tokens

#: how near to a point the mouse must be, in pixels
NEAR = 12.0
#: a radar has this many spokes at least
SPOKES = 3


def labels(rows: Sequence[CompareRow]) -> list[str]:
    """Name rows: with their devices only where these differ."""
    several = len({row.device for row in rows}) > 1
    return [row.label if several else row.name for row in rows]


class ParetoChart(Chart):
    """Two quantities of each variant against each other; `opened` gives the variant of a point that was clicked."""

    opened = Signal(str)

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        empty = "Measure variants (and evaluate them): those that nothing beats in both quantities form the front."
        super().__init__("Pareto front", empty, tokens, parent)
        self._rows: tuple[CompareRow, ...] = ()
        self._x, self._y = BY_KEY["p50"], BY_KEY["size"]
        self._current = ""
        self.setMouseTracking(True)

    def show_rows(self, rows: Sequence[CompareRow], x: Quantity, y: Quantity, current: str = "") -> None:
        """Show other rows or quantities; `current` is the variant that is ringed."""
        self._x, self._y, self._current = x, y, current
        self._rows = tuple(row for row in rows if x.key in row.values and y.key in row.values)
        self.setAccessibleDescription("; ".join(self._text(row) for row in self._rows))
        self.update()

    @property
    def ready(self) -> bool:  # noqa: D102
        return bool(self._rows)

    @property
    def front(self) -> list[CompareRow]:
        """The rows on the front."""
        return front(self._rows, self._x, self._y)

    def draw(self, painter: QPainter, area: QRectF) -> None:  # noqa: D102
        plot = self._plot(area)
        better = " ← better" if self._x.less_is_better else " → better"
        up = " ↓ better" if self._y.less_is_better else " ↑ better"
        draw_axes(painter, plot, self.tokens, self._x.title + better, self._y.title + up)
        best = self.front
        self._draw_front(painter, plot, best)
        for index, row in enumerate(self._rows):
            self._draw_point(painter, plot, index, row, on_front=row in best)
        self._draw_labels(painter, plot, area)

    def hint_at(self, place: QPointF) -> str:  # noqa: D102
        row = self._row_at(place)
        return f"{self._text(row)}\nA click shows this variant." if row is not None else ""

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        row = self._row_at(event.position())
        if row is not None:
            self.opened.emit(row.variant)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        over = self._row_at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def place_of(self, variant: str) -> QPointF:
        """Give where a variant's point is."""
        plot = self._plot(QRectF(self.rect()))
        row = next(row for row in self._rows if row.variant == variant)
        return plot.point(row.values[self._x.key], row.values[self._y.key])

    def _plot(self, area: QRectF) -> Plot:
        spans = []
        for quantity in (self._x, self._y):
            ends = [row.values[quantity.key] for row in self._rows]
            ends += [end for row in self._rows for end in row.spans.get(quantity.key, ())]
            spans.append(padded(min(ends), max(ends), 0.12))
        left = 66.0 if self._y.pattern != "size" else 96.0
        return make_plot(area, spans[0], spans[1], left=left)

    def _draw_front(self, painter: QPainter, plot: Plot, best: Sequence[CompareRow]) -> None:
        """Draw the front as steps: what lies beyond is worse in one of the two."""
        points = [plot.point(row.values[self._x.key], row.values[self._y.key]) for row in best]
        stairs: list[QPointF] = []
        for before, after in itertools.pairwise(points):
            corner = QPointF(after.x(), before.y()) if self._x.less_is_better else QPointF(before.x(), after.y())
            stairs += [before, corner]
        painter.setPen(QPen(QColor(self.tokens.accent), 1.6, Qt.PenStyle.DashLine))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF([*stairs, *points[-1:]]))

    def _draw_point(self, painter: QPainter, plot: Plot, index: int, row: CompareRow, *, on_front: bool) -> None:
        center = plot.point(row.values[self._x.key], row.values[self._y.key])
        painter.setPen(pen(self.tokens, index, 1.4))
        if self._y.key in row.spans:
            low, high = row.spans[self._y.key]
            painter.drawLine(plot.point(row.values[self._x.key], low), plot.point(row.values[self._x.key], high))
        if self._x.key in row.spans:
            low, high = row.spans[self._x.key]
            painter.drawLine(plot.point(low, row.values[self._y.key]), plot.point(high, row.values[self._y.key]))
        # a point off the front is hollow: colour alone must not tell
        painter.setPen(pen(self.tokens, index, 2))
        painter.setBrush(color(self.tokens, index) if on_front else QColor(self.tokens.surface))
        painter.drawEllipse(center, 5.5, 5.5)
        if row.variant == self._current:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(self.tokens.text), 1.4))
            painter.drawEllipse(center, 9.5, 9.5)

    def _draw_labels(self, painter: QPainter, plot: Plot, area: QRectF) -> None:
        """Name the points, right of them where there is room, none over another."""
        taken: list[QRectF] = []
        for row, text in zip(self._rows, labels(self._rows), strict=True):
            center = plot.point(row.values[self._x.key], row.values[self._y.key])
            width = painter.fontMetrics().horizontalAdvance(text) + 4.0
            x = center.x() + 12 if center.x() + 12 + width < area.right() else center.x() - 12 - width
            box = QRectF(x, center.y() - 9, width, 16)
            for shift in (0, -15, 15, -30, 30, -45, 45):
                moved = box.translated(0, shift)
                if not any(moved.intersects(other) for other in taken):
                    box = moved
                    break
            taken.append(box)
            painter.setPen(QColor(self.tokens.text))
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)

    def _row_at(self, place: QPointF) -> CompareRow | None:
        if not self._rows:
            return None
        plot = self._plot(QRectF(self.rect()))
        found = []
        for row in self._rows:
            gap = plot.point(row.values[self._x.key], row.values[self._y.key]) - place
            found.append((math.hypot(gap.x(), gap.y()), row))
        distance, nearest = min(found, key=lambda item: item[0])
        return nearest if distance <= NEAR else None

    def _text(self, row: CompareRow) -> str:
        x, y = (quantity.text(row.values[quantity.key]) for quantity in (self._x, self._y))
        return f"{row.label}: {x}, {y}"


class RadarChart(Chart):
    """Every quantity of each variant as a share of the best: the rim is the best there is."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__("Radar: share of the best, the rim is best", "Measure two variants or more.", tokens, parent)
        self._rows: tuple[CompareRow, ...] = ()
        self._spokes: tuple[Quantity, ...] = ()

    def show_rows(self, rows: Sequence[CompareRow]) -> None:
        """Show other rows: on the quantities that all of them have."""
        measured = [row for row in rows if "p50" in row.values]
        self._rows = tuple(measured)
        wanted = [item for item in QUANTITIES if item.key not in ("ratio", "p99", "nodes")]
        self._spokes = tuple(
            item for item in wanted if measured and all(row.values.get(item.key, 0.0) > 0 for row in measured)
        )
        self.update()

    @property
    def ready(self) -> bool:  # noqa: D102
        return len(self._rows) > 1 and len(self._spokes) >= SPOKES

    def share(self, row: CompareRow, quantity: Quantity) -> float:
        """Give how near to the best it is, 0 to 1."""
        values = [other.values[quantity.key] for other in self._rows]
        mine = row.values[quantity.key]
        return min(values) / mine if quantity.less_is_better else mine / max(values)

    def draw(self, painter: QPainter, area: QRectF) -> None:  # noqa: D102
        names = labels(self._rows)
        top = 30 + 18 * legend_lines(painter, area, names)
        draw_legend(painter, area, names, self.tokens)
        inner = area.adjusted(110, top + 14, -110, -24)
        radius, middle = max(20.0, min(inner.width(), inner.height()) / 2), inner.center()
        self._draw_web(painter, area, middle, radius)
        for index, row in enumerate(self._rows):
            shares = [self.share(row, spoke) for spoke in self._spokes]
            points = [_around(middle, radius * share, n, len(shares)) for n, share in enumerate(shares)]
            fill = color(self.tokens, index)
            fill.setAlpha(30)
            painter.setBrush(fill)
            painter.setPen(pen(self.tokens, index, 2))
            painter.drawPolygon(QPolygonF(points))

    def hint_at(self, place: QPointF) -> str:  # noqa: D102
        return "\n".join(
            f"{row.label}: " + ", ".join(f"{item.key} {item.text(row.values[item.key])}" for item in self._spokes)
            for row in self._rows
        )

    def _draw_web(self, painter: QPainter, area: QRectF, middle: QPointF, radius: float) -> None:
        count = len(self._spokes)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(self.tokens.line), 1))
        for ring in (0.25, 0.5, 0.75, 1.0):
            painter.drawPolygon(QPolygonF([_around(middle, radius * ring, n, count) for n in range(count)]))
        for number, spoke in enumerate(self._spokes):
            end = _around(middle, radius, number, count)
            painter.setPen(QPen(QColor(self.tokens.line), 1))
            painter.drawLine(middle, end)
            outside = _around(middle, radius + 12, number, count)
            text = spoke.title.split(" (")[0]
            width = painter.fontMetrics().horizontalAdvance(text) + 4.0
            left = outside.x() - width / 2 + (outside.x() - middle.x()) / max(radius, 1.0) * width / 2
            painter.setPen(QColor(self.tokens.dim))
            left = min(max(left, area.left() + 2), area.right() - width - 2)
            painter.drawText(QRectF(left, outside.y() - 9, width, 18), Qt.AlignmentFlag.AlignCenter, text)


def _around(middle: QPointF, radius: float, number: int, count: int) -> QPointF:
    angle = 2 * math.pi * number / count - math.pi / 2
    return QPointF(middle.x() + radius * math.cos(angle), middle.y() + radius * math.sin(angle))
