"""Horizontal bars with error bars, painted without a chart library: few bars, drawn at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.ui.pictures import Picture, PictureMenu
from studio.ui.theme import Tokens

ROW = 66
BAR = 14
LABEL_SHARE = 0.2
#: where the texts beside the bars begin
TEXT_SHARE = 0.56


@dataclass(frozen=True)
class Bar:
    """One bar: a value with its interval on a scale, and what is written beside it."""

    label: str
    value: float
    low: float
    high: float
    text: str
    note: str = ""
    good: bool | None = None


class BarChart(QWidget):
    """Bars one below the other; the scale spans the intervals unless it is given."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._bars: tuple[Bar, ...] = ()
        self._span = (0.0, 1.0)
        self.pictures = PictureMenu(self, self.picture)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)

    def set_bars(self, bars: Sequence[Bar], span: tuple[float, float] | None = None) -> None:
        """Show other bars."""
        self._bars = tuple(bars)
        if span is None and bars:
            low, high = min(bar.low for bar in bars), max(bar.high for bar in bars)
            margin = 0.15 * (high - low) or 0.05 * abs(high) or 1.0
            span = (low - margin, high + margin)
        self._span = span or (0.0, 1.0)
        self.setAccessibleDescription("; ".join(f"{bar.label}: {bar.text} {bar.note}" for bar in bars))
        self.updateGeometry()
        self.update()

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self._tokens = tokens
        self.update()

    def picture(self) -> Picture | None:
        """Give the bars as a picture; None without any."""
        if not self._bars:
            return None
        return Picture(self.accessibleName() or "Bars", self.size(), self._tokens.surface, self._paint_all)

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(480, ROW * max(1, len(self._bars)) + 8)

    def minimumSizeHint(self) -> QSize:  # noqa: D102
        return QSize(320, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_all(painter, QRectF(self.rect()))
        finally:
            # An exception with the painter still active would end the process.
            painter.end()

    def _paint_all(self, painter: QPainter, area: QRectF) -> None:
        for index, bar in enumerate(self._bars):
            self._paint(painter, index, bar)

    def _paint(self, painter: QPainter, index: int, bar: Bar) -> None:
        tokens, top = self._tokens, float(index * ROW + 4)
        label_width = self.width() * LABEL_SHARE
        left, right = label_width + 12, self.width() * TEXT_SHARE
        color = QColor(tokens.series[index % len(tokens.series)])
        painter.setPen(QColor(tokens.text))
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        name = painter.fontMetrics().elidedText(bar.label, Qt.TextElideMode.ElideMiddle, int(label_width))
        painter.drawText(QRectF(4, top, label_width, ROW - 8), flags, name)
        self._paint_bar(painter, bar, color, QRectF(left, top, right - left, ROW - 8))
        painter.setPen(QColor(tokens.text))
        third = (ROW - 8) / 3
        beside = QRectF(right + 14, top, self.width() - right - 18, third)
        painter.drawText(beside, flags, bar.text)
        colors = {True: tokens.good, False: tokens.bad, None: tokens.dim}
        painter.setPen(QColor(colors[bar.good]))
        below = QRectF(beside.left(), beside.bottom(), beside.width(), 2 * third)
        wrapped = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        painter.drawText(below, wrapped, bar.note)

    def _paint_bar(self, painter: QPainter, bar: Bar, color: QColor, area: QRectF) -> None:
        middle = area.center().y()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._tokens.raised))
        painter.drawRoundedRect(QRectF(area.left(), middle - BAR / 2, area.width(), BAR), 3, 3)
        painter.setBrush(color)
        width = max(2.0, self._x(bar.value, area) - area.left())
        painter.drawRoundedRect(QRectF(area.left(), middle - BAR / 2, width, BAR), 3, 3)
        painter.setPen(QPen(QColor(self._tokens.text), 2))
        low, high = self._x(bar.low, area), self._x(bar.high, area)
        painter.drawLine(round(low), round(middle), round(high), round(middle))
        for x in (low, high):
            painter.drawLine(round(x), round(middle - 5), round(x), round(middle + 5))

    def _x(self, value: float, area: QRectF) -> float:
        low, high = self._span
        share = (value - low) / (high - low) if high > low else 0.0
        return area.left() + area.width() * min(1.0, max(0.0, share))
