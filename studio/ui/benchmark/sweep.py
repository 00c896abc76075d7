"""Throughput against latency over the ways to run a model, growing while it is searched."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QDoubleSpinBox, QPushButton, QWidget

from studio.analysis.sweep import SweepOptions, SweepResult, default_space
from studio.core.machine.sweeping import SweepPoint
from studio.ui.build import column, named, row, words
from studio.ui.charts.chart import Chart, color, draw_axes, make_plot
from studio.ui.charts.scale import padded
from studio.ui.controller import Controller
from studio.ui.theme import Tokens

EMPTY = "Press Sweep: the shown variant is run with other batches, threads, streams and requests, best ones longer."


class SweepChart(Chart):
    """A point for each setting; the front is drawn, the best ringed."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__("Throughput against latency", EMPTY, tokens, parent)
        self._result: SweepResult | None = None

    def show_result(self, result: SweepResult | None) -> None:
        """Show what was found so far."""
        self._result = result
        self.update()

    @property
    def ready(self) -> bool:  # noqa: D102
        return bool(self._points)

    @property
    def _points(self) -> list[SweepPoint]:
        return [point for point in self._result.points if not point.failed] if self._result is not None else []

    def draw(self, painter: QPainter, area: QRectF) -> None:  # noqa: D102
        points, result = self._points, self._result
        assert result is not None
        plot = make_plot(area, *self._spans())
        draw_axes(painter, plot, self.tokens, "p50 latency (ms) ← better", "throughput (samples/s) ↑ better")
        painter.setPen(QPen(QColor(self.tokens.accent), 1.6, Qt.PenStyle.DashLine))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF([plot.point(item.p50_ms, item.throughput) for item in result.front]))
        best = result.front
        for point in points:
            center = plot.point(point.p50_ms, point.throughput)
            painter.setPen(QPen(color(self.tokens, 0), 1.6))
            painter.setBrush(color(self.tokens, 0) if point in best else QColor(self.tokens.surface))
            painter.drawEllipse(center, 4.5, 4.5)
        if result.best is not None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(self.tokens.text), 1.4))
            center = plot.point(result.best.p50_ms, result.best.throughput)
            painter.drawEllipse(center, 8.5, 8.5)
            text = setting_text(result.best)
            width = painter.fontMetrics().horizontalAdvance(text) + 4.0
            x = min(center.x() + 12, area.right() - width - 4)
            painter.drawText(QRectF(x, center.y() - 24, width, 16), Qt.AlignmentFlag.AlignLeft, text)

    def hint_at(self, place: QPointF) -> str:  # noqa: D102
        plot = make_plot(QRectF(self.rect()), *self._spans())
        for point in self._points:
            gap = plot.point(point.p50_ms, point.throughput) - place
            if abs(gap.x()) + abs(gap.y()) < 14:
                noisy = "\nSomething disturbed it." if point.noisy else ""
                return f"{setting_text(point)}\n{point.throughput:,.0f} samples/s, p50 {point.p50_ms:.3f} ms{noisy}"
        return ""

    def _spans(self) -> tuple[tuple[float, float], tuple[float, float]]:
        points = self._points
        x, y = [point.p50_ms for point in points], [point.throughput for point in points]
        return padded(min(x), max(x), 0.1), padded(min(0.0, *y), max(y), 0.1)


class SweepPage(QWidget):
    """Searches the settings of the shown variant on the window's device."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.start = named(QPushButton("Sweep"), tip="Search batch, threads, streams and requests; can be resumed")
        self.stop = named(QPushButton("Stop"), tip="Stop; points are kept, and the next sweep goes on from them")
        self.limit = QDoubleSpinBox(minimum=0, maximum=60_000, value=0, suffix=" ms", decimals=1)
        self.limit.setSpecialValueText("no limit")
        named(self.limit, "Latency limit", "The best setting must not be slower than this")
        self.start.clicked.connect(self.sweep)
        self.stop.clicked.connect(controller.stop)
        self.stop.setEnabled(False)
        self.note = words(EMPTY)
        self.chart = SweepChart(controller.tokens)
        top = row()
        for widget in (self.start, self.stop, words("Latency limit"), self.limit):
            top.addWidget(widget)
        top.addStretch(1)
        layout = column(self, margins=(8, 8, 8, 8))
        layout.addLayout(top)
        layout.addWidget(self.note)
        layout.addWidget(self.chart, 1)
        controller.busy.connect(self._on_busy)
        controller.themed.connect(self.chart.set_tokens)
        controller.selected.connect(lambda _: self._forget())

    def sweep(self) -> None:
        """Search."""
        controller, session = self._controller, self._controller.session
        if not session.is_open:
            return
        variant, device, limit = controller.variant, controller.device, self.limit.value() or None
        self._forget()
        self.note.setText("Searching …")

        def work() -> SweepResult:
            place = session.device(device)
            inputs = session.info.inputs if session.info is not None else ()
            dynamic = any(item.shape and not isinstance(item.shape[0], int) for item in inputs)
            space = default_space(place, session.honours(place), any_batch=dynamic)
            options = SweepOptions(space=space, max_latency_ms=limit, data=session.data().evaluation)
            return session.sweep(variant, options, device, on_point=self._on_point, watch=controller.watch)

        controller.start("sweep", work, self._show)

    def _on_point(self, point: SweepPoint, found: SweepResult) -> None:
        """Take a point on the thread that measured it."""
        self._controller.background.post(lambda: self._show(found))

    def _show(self, found: SweepResult) -> None:
        self.chart.show_result(found)
        self.note.setText(_summary(found))

    def _forget(self) -> None:
        self.chart.show_result(None)
        self.note.setText(EMPTY)

    def _on_busy(self, kind: str, busy: Any) -> None:
        self.start.setEnabled(not busy)
        if kind == "sweep":
            self.stop.setEnabled(busy)


def setting_text(point: SweepPoint) -> str:
    """Name a setting."""
    setting = point.setting
    parts = [f"batch {setting.batch}"]
    parts += [f"{setting.threads} threads"] if setting.threads is not None else []
    parts += [f"{setting.streams} streams"] if setting.streams is not None else []
    parts += [f"{setting.requests} requests"] if setting.requests > 1 else []
    parts += [setting.hint] if setting.hint != "latency" else []
    return ", ".join(parts)


def _summary(found: SweepResult) -> str:
    done = "all that are worth it" if found.complete else "so far"
    text = f"{found.subject.name}: {len(found.points)} of {found.possible} settings measured, {done}."
    if found.best is not None:
        figures = f"{found.best.throughput:,.0f} samples/s at {found.best.p50_ms:.3f} ms"
        text += f" Best: {setting_text(found.best)}: {figures}."
    return text
