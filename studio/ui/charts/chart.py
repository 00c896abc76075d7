"""What all charts have in common: a title, axes, a legend, hints, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from studio.ui.charts.scale import Scale, tick_text, ticks
from studio.ui.pictures import Picture, PictureMenu
from studio.ui.theme import Tokens

#: marks that tell series apart where colours do not
DASHES = (
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.DashLine,
    Qt.PenStyle.DotLine,
    Qt.PenStyle.DashDotLine,
)
#: room around the plot: left, top, right, bottom in pixels
LEFT, TOP, RIGHT, BOTTOM = 58.0, 30.0, 16.0, 40.0
#: a picture is at least so large, however small the widget is
SMALLEST = QSize(640, 360)


@dataclass(frozen=True)
class Plot:
    """Where values are drawn."""

    area: QRectF
    x: Scale
    y: Scale

    def point(self, x: float, y: float) -> QPointF:
        """Give the place of a value."""
        return QPointF(self.x.at(x), self.y.at(y))


class Chart(QWidget):
    """A chart.

    A kind of chart overrides `draw`, `ready` and, for what is told under the mouse, `hint_at`.

    Parameters
    ----------
    title
        What it shows; also its accessible name.
    empty
        What to do while there is nothing to show.
    """

    def __init__(self, title: str, empty: str, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.empty = title, empty
        self.tokens = tokens
        self.menu = PictureMenu(self, self.picture)
        self.setAccessibleName(title)
        self.setMinimumSize(200, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    # what a kind of chart says

    @property
    def ready(self) -> bool:
        """Whether there is anything to show."""
        raise NotImplementedError

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw everything but the title into an area."""
        raise NotImplementedError

    def hint_at(self, place: QPointF) -> str:
        """Say what is under the mouse."""
        return ""

    # what all charts do

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self.tokens = tokens
        self.update()

    def picture(self) -> Picture | None:
        """Give the chart as a picture; None while it is empty."""
        if not self.ready:
            return None
        return Picture(self.title, self.size().expandedTo(SMALLEST), self.tokens.surface, self.paint)

    def paint(self, painter: QPainter, area: QRectF) -> None:
        """Paint the chart with its title."""
        painter.setFont(self.font())
        _write_title(painter, area, self.title, self.tokens)
        self.draw(painter, area)

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(360, 220)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        try:
            painter.fillRect(self.rect(), QColor(self.tokens.surface))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            area = QRectF(self.rect())
            if self.ready:
                self.paint(painter, area)
            else:
                _write_title(painter, area, self.title, self.tokens)
                painter.setPen(QColor(self.tokens.dim))
                flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
                painter.drawText(area.adjusted(16, 16, -16, -16), flags, self.empty)
        finally:
            # An exception with the painter still active would end the process.
            painter.end()

    def event(self, event: QEvent) -> bool:  # noqa: D102
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.hint_at(QPointF(event.pos())) if self.ready else ""
            QToolTip.showText(event.globalPos(), text or self.toolTip(), self)
            return True
        return super().event(event)


def _write_title(painter: QPainter, area: QRectF, title: str, tokens: Tokens) -> None:
    bold = QFont(painter.font())
    bold.setWeight(QFont.Weight.DemiBold)
    plain = QFont(painter.font())
    painter.setFont(bold)
    painter.setPen(QColor(tokens.text))
    painter.drawText(QPointF(area.left() + 10, area.top() + 17), title)
    painter.setFont(plain)


def color(tokens: Tokens, index: int) -> QColor:
    """Give the colour of a series."""
    return QColor(tokens.series[index % len(tokens.series)])


def pen(tokens: Tokens, index: int, width: float = 1.8) -> QPen:
    """Give the pen of a series: a colour, and a dash where colours come again."""
    made = QPen(color(tokens, index), width, DASHES[index // len(tokens.series) % len(DASHES)])
    made.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return made


def make_plot(
    area: QRectF, x: tuple[float, float], y: tuple[float, float], *, legend: int = 0, left: float = LEFT
) -> Plot:
    """Lay a plot out in a chart's area, below its title and `legend` lines of legend."""
    inner = area.adjusted(left, TOP + 18 * legend, -RIGHT, -BOTTOM)
    return Plot(inner, Scale(*x, inner.left(), inner.right()), Scale(*y, inner.bottom(), inner.top()))


def draw_axes(painter: QPainter, plot: Plot, tokens: Tokens, bottom: str, left: str) -> None:
    """Draw the grid, the ticks and the titles of both axes."""
    metrics = QFontMetricsF(painter.font())
    line, dim = QPen(QColor(tokens.line), 1), QColor(tokens.dim)
    across = ticks(plot.x.low, plot.x.high, max(2, int(plot.area.width() / 80)))
    up = ticks(plot.y.low, plot.y.high, max(2, int(plot.area.height() / 36)))
    center = Qt.AlignmentFlag.AlignCenter
    for value in up:
        y = plot.y.at(value)
        painter.setPen(line)
        painter.drawLine(QPointF(plot.area.left(), y), QPointF(plot.area.right(), y))
        painter.setPen(dim)
        text = QRectF(plot.area.left() - LEFT + 16, y - 9, LEFT - 22, 18)
        painter.drawText(text, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, tick_text(value, up))
    for value in across:
        x = plot.x.at(value)
        painter.setPen(line)
        painter.drawLine(QPointF(x, plot.area.bottom()), QPointF(x, plot.area.bottom() + 4))
        painter.setPen(dim)
        painter.drawText(QRectF(x - 40, plot.area.bottom() + 4, 80, 16), center, tick_text(value, across))
    painter.setPen(line)
    painter.drawLine(plot.area.bottomLeft(), plot.area.bottomRight())
    painter.setPen(dim)
    painter.drawText(QRectF(plot.area.left(), plot.area.bottom() + 20, plot.area.width(), 18), center, bottom)
    painter.save()
    painter.translate(plot.area.left() - LEFT + 9, plot.area.center().y())
    painter.rotate(-90)
    width = max(plot.area.height(), metrics.horizontalAdvance(left) + 8)
    painter.drawText(QRectF(-width / 2, -9, width, 18), center, left)
    painter.restore()


def legend_lines(painter: QPainter, area: QRectF, names: Sequence[str]) -> int:
    """Count the lines that a legend takes."""
    return len(_legend_places(painter, area, names)) if len(names) > 1 else 0


def draw_legend(painter: QPainter, area: QRectF, names: Sequence[str], tokens: Tokens) -> None:
    """Name the series in lines below the title; a single one needs no name."""
    if len(names) < 2:
        return
    index = 0
    for row, texts in enumerate(_legend_places(painter, area, names)):
        x, y = area.left() + 10, area.top() + TOP + 18 * row + 2
        for text in texts:
            painter.setPen(pen(tokens, index, 3))
            painter.drawLine(QPointF(x, y), QPointF(x + 14, y))
            painter.setPen(QColor(tokens.text))
            painter.drawText(QPointF(x + 20, y + 4), text)
            x += 38 + QFontMetricsF(painter.font()).horizontalAdvance(text)
            index += 1


def _legend_places(painter: QPainter, area: QRectF, names: Sequence[str]) -> list[list[str]]:
    metrics = QFontMetricsF(painter.font())
    rows: list[list[str]] = [[]]
    used, room = 0.0, area.width() - 30
    for name in names:
        text = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, 0.6 * room)
        width = 38 + metrics.horizontalAdvance(text)
        if rows[-1] and used + width > room:
            rows.append([])
            used = 0.0
        rows[-1].append(text)
        used += width
    return rows
