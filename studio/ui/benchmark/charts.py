"""Charts of the live benchmark; pyqtgraph is imported with this module, so import it late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.ui.benchmark.series import LiveSeries, common_range
from studio.ui.theme import Tokens

LINE_WIDTH = 2


class LatencyChart(QWidget):
    """Latency against sample number; the warm-up stands left of 0."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plot = _plot(self, tokens, "sample (warm-up left of 0)", "latency (ms)")
        self.setAccessibleName("Latency of each sample over time")

    def draw(self, series: Sequence[LiveSeries], tokens: Tokens) -> None:
        """Draw all series anew."""
        self._plot.clear()
        span = common_range(series)
        for index, item in enumerate(series):
            x, y = item.line()
            self._plot.plot(x, y, pen=_pen(tokens, index), name=item.name)
        zero = pg.InfiniteLine(0, pen=pg.mkPen(tokens.line, width=1))
        self._plot.addItem(zero)
        if span is not None:
            self._plot.setYRange(0, span[1] * 1.1, padding=0)

    def dress(self, tokens: Tokens) -> None:
        """Put on another theme."""
        _dress(self._plot, tokens)


class DensityChart(QWidget):
    """Distribution of the steady latencies, medians marked."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plot = _plot(self, tokens, "latency (ms)", "share of samples", legend=False)
        self.setAccessibleName("Distribution of the latencies")

    def draw(self, series: Sequence[LiveSeries], tokens: Tokens) -> None:
        """Draw all series anew."""
        self._plot.clear()
        span = common_range(series)
        if span is None:
            return
        for index, item in enumerate(series):
            if not item.steady:
                continue
            edges, shares = item.density(*span)
            fill = QColor(_color(tokens, index))
            fill.setAlpha(60)
            self._plot.plot(edges, shares, stepMode="center", fillLevel=0, brush=fill, pen=_pen(tokens, index))
            if item.median is not None:
                pen = pg.mkPen(_color(tokens, index), width=LINE_WIDTH, style=Qt.PenStyle.DashLine)
                self._plot.addItem(pg.InfiniteLine(float(item.median), pen=pen))
        self._plot.setXRange(*span, padding=0)

    def dress(self, tokens: Tokens) -> None:
        """Put on another theme."""
        _dress(self._plot, tokens)


def _plot(owner: QWidget, tokens: Tokens, bottom: str, left: str, *, legend: bool = True) -> Any:
    plot = pg.PlotWidget(owner)
    plot.setLabel("bottom", bottom)
    plot.setLabel("left", left)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.getPlotItem().getAxis("left").enableAutoSIPrefix(False)
    plot.getPlotItem().getAxis("bottom").enableAutoSIPrefix(False)
    if legend:
        plot.addLegend(offset=(-8, 8))
    layout = QVBoxLayout(owner)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(plot)
    _dress(plot, tokens)
    return plot


def _dress(plot: Any, tokens: Tokens) -> None:
    plot.setBackground(tokens.surface)
    for name in ("left", "bottom"):
        axis = plot.getPlotItem().getAxis(name)
        axis.setPen(tokens.line)
        axis.setTextPen(tokens.dim)
    legend = plot.getPlotItem().legend
    if legend is not None:
        legend.setLabelTextColor(tokens.text)
        behind = QColor(tokens.surface)
        behind.setAlpha(220)
        legend.setBrush(behind)


def _color(tokens: Tokens, index: int) -> str:
    return tokens.series[index % len(tokens.series)]


def _pen(tokens: Tokens, index: int) -> Any:
    return pg.mkPen(_color(tokens, index), width=LINE_WIDTH)
