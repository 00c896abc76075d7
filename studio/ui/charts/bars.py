"""Horizontal bars: one for each series in each row, with what is written behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QWidget

from studio.ui.charts.chart import TOP, Chart, color, draw_legend, legend_lines
from studio.ui.theme import Tokens

#: height of a bar, and room between rows, in pixels
BAR, GAP = 11.0, 9.0


@dataclass(frozen=True)
class BarRow:
    """A row: its label, a value for each series (None for none), and what is written behind each bar."""

    label: str
    values: tuple[float | None, ...]
    texts: tuple[str, ...]
    hint: str = ""


class BarsChart(Chart):
    """Bars from zero; negative values go to the left."""

    def __init__(self, title: str, empty: str, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(title, empty, tokens, parent)
        self._rows: tuple[BarRow, ...] = ()
        self._series: tuple[str, ...] = ()
        self._by_row = False

    def set_rows(self, rows: Sequence[BarRow], series: Sequence[str] = (), *, by_row: bool = False) -> None:
        """Show other rows; with `by_row` each row has the colour of its place."""
        self._rows, self._series, self._by_row = tuple(rows), tuple(series), by_row
        self.setAccessibleDescription("; ".join(f"{row.label}: {', '.join(row.texts)}" for row in rows))
        self.setMinimumHeight(int(min(4000, self._height())))
        self.updateGeometry()
        self.update()

    @property
    def ready(self) -> bool:  # noqa: D102
        return bool(self._rows)

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(360, int(self._height()))

    def draw(self, painter: QPainter, area: QRectF) -> None:  # noqa: D102
        lines = legend_lines(painter, area, self._series)
        draw_legend(painter, area, self._series, self.tokens)
        metrics = painter.fontMetrics()
        label = min(0.4 * area.width(), 12 + max(metrics.horizontalAdvance(row.label) for row in self._rows))
        behind = max(metrics.horizontalAdvance(text) for row in self._rows for text in (*row.texts, "0")) + 12
        left, right = area.left() + label + 10, max(area.left() + label + 40, area.right() - behind - 8)
        values = [value for row in self._rows for value in row.values if value is not None]
        low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
        scale = (right - left) / ((high - low) or 1.0)
        zero = left - low * scale
        y = area.top() + TOP + 18 * lines
        for index in range(len(self._rows)):
            y = self._draw_row(painter, index, QRectF(area.left() + 8, y, label, 0), zero, scale)
        painter.setPen(QPen(QColor(self.tokens.dim), 1))
        painter.drawLine(QPointF(zero, area.top() + TOP + 18 * lines - 4), QPointF(zero, y))

    def hint_at(self, place: QPointF) -> str:  # noqa: D102
        lines = 1 if len(self._series) > 1 else 0
        y = TOP + 18 * lines
        for row in self._rows:
            height = BAR * len(row.values) + GAP
            if y <= place.y() < y + height:
                return row.hint or f"{row.label}: {', '.join(row.texts)}"
            y += height
        return ""

    def _draw_row(self, painter: QPainter, index: int, place: QRectF, zero: float, scale: float) -> float:
        row = self._rows[index]
        height = BAR * len(row.values)
        painter.setPen(QColor(self.tokens.text))
        name = painter.fontMetrics().elidedText(row.label, Qt.TextElideMode.ElideMiddle, int(place.width()))
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(place.left(), place.top() - 3, place.width(), height + 6), flags, name)
        for number, value in enumerate(row.values):
            y = place.top() + BAR * number
            end = zero + (value or 0.0) * scale
            if value is not None:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(color(self.tokens, index if self._by_row else number))
                width = max(1.5, abs(end - zero))
                painter.drawRect(QRectF(min(zero, end), y + 1, width, BAR - 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QColor(self.tokens.dim))
            if number < len(row.texts):
                painter.drawText(QRectF(max(zero, end) + 6, y - 4, 400, BAR + 8), flags, row.texts[number])
        return place.top() + height + GAP

    def _height(self) -> float:
        rows = sum(BAR * len(row.values) + GAP for row in self._rows)
        return TOP + (18 if len(self._series) > 1 else 0) + rows + 12
