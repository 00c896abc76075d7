"""The Pareto picture: speed-up over points lost, with the budget, drawn without a chart library."""

from __future__ import annotations

import itertools
import math

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from studio.analysis.automatic import AutoResult
from studio.core.search.trial import Trial
from studio.ui.theme import Tokens

_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 18, 18, 44
_RADIUS = 6.0
_TICKS = 5


class ParetoChart(QWidget):
    """Each trial is a point; `chosen` gives the variant of one that was clicked."""

    chosen = Signal(str)

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._result: AutoResult | None = None
        self._current = ""
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Speed-up over points lost")
        self.setToolTip("Each point is a variant that was tried; a click shows it")

    def set_result(self, result: AutoResult | None) -> None:
        """Show another state of the search."""
        self._result = result
        shown = [self._text(trial) for trial in self._trials()]
        self.setAccessibleDescription("; ".join(shown) or "Nothing was tried yet.")
        self.update()

    def set_current(self, variant: str) -> None:
        """Mark the variant that is shown elsewhere."""
        self._current = variant
        self.update()

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self._tokens = tokens
        self.update()

    def trial_at(self, where: QPointF) -> Trial | None:
        """Find the trial under the pointer; the nearest of several."""
        near = [(math.dist(where.toTuple(), self._place(trial).toTuple()), trial) for trial in self._trials()]
        near = [item for item in near if item[0] <= 2 * _RADIUS]
        return min(near, key=lambda item: item[0])[1] if near else None

    def place_of(self, name: str) -> QPointF:
        """Say where a trial is drawn; used to click on it."""
        return next(self._place(trial) for trial in self._trials() if trial.name == name)

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(520, 300)

    def minimumSizeHint(self) -> QSize:  # noqa: D102
        return QSize(260, 180)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        trial = self.trial_at(event.position())
        if trial is not None:
            self.chosen.emit(trial.variant)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        over = self.trial_at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def event(self, event: QEvent) -> bool:  # noqa: D102
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            trial = self.trial_at(QPointF(event.pos()))
            if trial is not None:
                QToolTip.showText(event.globalPos(), self._text(trial), self)
                return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint(painter)
        finally:
            # An exception with the painter still active would end the process.
            painter.end()

    # geometry

    def _trials(self) -> list[Trial]:
        return [trial for trial in self._result.trials if trial.complete] if self._result is not None else []

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_LEFT, _TOP, -_RIGHT, -_BOTTOM)

    def _span(self) -> tuple[float, float, float, float]:
        """Give left, right (points lost), bottom and top (ratio) of what is shown."""
        trials = self._trials()
        budget = self._result.options.budget if self._result is not None else 1.0
        losses = [trial.loss.points for trial in trials if trial.loss is not None]
        ratios = [trial.speed.ratio for trial in trials if trial.speed is not None]
        # What is far outside the budget stands at the border: the budget is what one looks at.
        far = max(2 * budget, min(max(losses, default=0.0), 4 * budget), 0.2)
        near = min([*losses, 0.0])
        margin = 0.06 * (far - near)
        bottom, top = min([*ratios, 1.0]), max([*ratios, 1.2])
        room = 0.12 * (top - bottom)
        return near - margin, far + margin, bottom - room, top + room

    def _at(self, loss: float, ratio: float) -> QPointF:
        left, right, bottom, top = self._span()
        area = self._area()
        x = area.left() + area.width() * (min(max(loss, left), right) - left) / (right - left)
        y = area.bottom() - area.height() * (min(max(ratio, bottom), top) - bottom) / (top - bottom)
        return QPointF(x, y)

    def _place(self, trial: Trial) -> QPointF:
        assert trial.loss is not None
        assert trial.speed is not None
        return self._at(trial.loss.points, trial.speed.ratio)

    # painting

    def _paint(self, painter: QPainter) -> None:
        area, tokens = self._area(), self._tokens
        painter.fillRect(self.rect(), QColor(tokens.surface))
        budget = self._result.options.budget if self._result is not None else 1.0
        edge = self._at(budget, 1.0).x()
        inside = QColor(tokens.selection)
        inside.setAlpha(110)
        painter.fillRect(QRectF(area.left(), area.top(), edge - area.left(), area.height()), inside)
        self._paint_axes(painter, area)
        painter.setPen(QPen(QColor(tokens.accent), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(edge, area.top()), QPointF(edge, area.bottom()))
        painter.setPen(QColor(tokens.dim))
        painter.drawText(QPointF(edge + 5, area.top() + painter.fontMetrics().ascent()), f"budget {budget:g}")
        if self._result is None or not self._trials():
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(area.adjusted(10, 0, -10, 0), flags, "Each variant that is tried appears here as a point.")
        self._paint_front(painter)
        self._paint_baseline(painter)
        for trial in self._trials():
            self._paint_trial(painter, trial, area)

    def _paint_axes(self, painter: QPainter, area: QRectF) -> None:
        tokens, metrics = self._tokens, painter.fontMetrics()
        left, right, bottom, top = self._span()
        for value in _ticks(left, right):
            x = self._at(value, 1.0).x()
            painter.setPen(QPen(QColor(tokens.line), 1))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
            painter.setPen(QColor(tokens.dim))
            text = f"{value:g}"
            painter.drawText(
                QPointF(x - metrics.horizontalAdvance(text) / 2, area.bottom() + metrics.ascent() + 4), text
            )
        for value in _ticks(bottom, top):
            y = self._at(0.0, value).y()
            painter.setPen(QPen(QColor(tokens.line), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(tokens.dim))
            text = f"{value:g}x"
            painter.drawText(
                QPointF(area.left() - metrics.horizontalAdvance(text) - 6, y + metrics.ascent() / 2 - 2), text
            )
        base = self.height() - metrics.descent() - 4
        painter.drawText(QPointF(area.left(), base), f"points lost{self._metric()}")
        painter.save()
        painter.translate(metrics.ascent() + 2, area.bottom())
        painter.rotate(-90)
        painter.drawText(QPointF(0, 0), "speed-up")
        painter.restore()

    def _metric(self) -> str:
        trials = self._trials()
        return f" ({trials[0].loss.title})" if trials and trials[0].loss is not None else ""

    def _paint_front(self, painter: QPainter) -> None:
        """Draw the front as steps: a model between two of its points is no better than the left one."""
        if self._result is None:
            return
        chosen = {trial.name: trial for trial in self._trials()}
        points = [self._at(0.0, 1.0), *(self._place(chosen[name]) for name in self._result.front if name in chosen)]
        line = QPolygonF()
        for before, after in itertools.pairwise(points):
            line.append(before)
            line.append(QPointF(after.x(), before.y()))
        line.append(points[-1])
        painter.setPen(QPen(QColor(self._tokens.accent), 2))
        painter.drawPolyline(line)

    def _paint_baseline(self, painter: QPainter) -> None:
        where = self._at(0.0, 1.0)
        painter.setPen(QPen(QColor(self._tokens.text), 1))
        painter.setBrush(QColor(self._tokens.text))
        offsets = ((0, -6), (6, 0), (0, 6), (-6, 0))
        painter.drawPolygon(QPolygonF([where + QPointF(*offset) for offset in offsets]))
        painter.drawText(where + QPointF(10, 14), "baseline")

    def _paint_trial(self, painter: QPainter, trial: Trial, area: QRectF) -> None:
        tokens, where = self._tokens, self._place(trial)
        assert trial.loss is not None
        assert trial.speed is not None
        assert self._result is not None
        best = trial.name == self._result.choice.name
        color = QColor(tokens.good if best else tokens.accent if trial.inside else tokens.dim)
        painter.setPen(QPen(color, 1.2))
        for first, second in (
            (self._at(trial.loss.low, trial.speed.ratio), self._at(trial.loss.high, trial.speed.ratio)),
            (self._at(trial.loss.points, trial.speed.low), self._at(trial.loss.points, trial.speed.high)),
        ):
            painter.drawLine(first, second)
        painter.setBrush(color if trial.inside else QColor(tokens.surface))
        painter.setPen(QPen(color, 2))
        painter.drawEllipse(where, _RADIUS, _RADIUS)
        if best or trial.variant == self._current:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(where, _RADIUS + 4, _RADIUS + 4)
        if best or trial.name in self._result.front:
            painter.setPen(QColor(tokens.text))
            width = painter.fontMetrics().horizontalAdvance(trial.name)
            right = where.x() + 12 + width < area.right()
            painter.drawText(where + QPointF(12 if right else -12 - width, -8), trial.name)

    def _text(self, trial: Trial) -> str:
        assert trial.loss is not None
        assert trial.speed is not None
        loss = trial.loss
        place = "inside" if trial.inside else "outside"
        lost = f"{loss.points:+.2f} points lost ({loss.low:+.2f} to {loss.high:+.2f})"
        return f"{trial.name}: {trial.speed.text}, {lost}, {place} the budget"


def _ticks(low: float, high: float) -> list[float]:
    """Give round values between two ends."""
    step = 10 ** math.floor(math.log10((high - low) / _TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= _TICKS)
    first = math.ceil(low / step)
    return [round(number * step, 9) for number in range(first, math.floor(high / step) + 1)]
