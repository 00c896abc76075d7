"""Charts of the live benchmark: latencies over time and their distribution, and the running ratios."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from studio.ui.benchmark.series import LivePair, LiveSeries, common_range
from studio.ui.charts.chart import RIGHT, Chart, Plot, color, draw_axes, draw_legend, legend_lines, make_plot, pen
from studio.ui.charts.scale import padded
from studio.ui.theme import Tokens

MEASURE = "Choose variants and press Measure."


def short_names(names: Sequence[str]) -> list[str]:
    """Leave the device out of names such as ``"int8 @ openvino:CPU"`` where all have the same."""
    devices = {name.partition(" @ ")[2] for name in names}
    return [name.partition(" @ ")[0] for name in names] if len(devices) == 1 else list(names)


class SeriesChart(Chart):
    """A chart of several series."""

    def __init__(self, title: str, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(title, MEASURE, tokens, parent)
        self._series: tuple[LiveSeries, ...] = ()
        self._names: list[str] = []
        self._span: tuple[float, float] | None = None

    def show_series(self, series: Sequence[LiveSeries]) -> None:
        """Draw other series."""
        self._series = tuple(series)
        self._names = short_names([item.name for item in series])
        self._span = common_range(series)
        self.update()

    @property
    def ready(self) -> bool:  # noqa: D102
        return self._span is not None


class LatencyChart(SeriesChart):
    """Latency against sample number; the warm-up is shaded, and so is what something disturbed."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__("Latency over time", tokens, parent)

    @property
    def ready(self) -> bool:  # noqa: D102
        return any(item.steady or item.warmup for item in self._series)

    def draw(self, painter: QPainter, area: QRectF) -> None:  # noqa: D102
        lines = [item.line() for item in self._series]
        names = self._names
        left = min((float(x[0]) for x, _ in lines if len(x)), default=0.0)
        right = max((float(x[-1]) for x, _ in lines if len(x)), default=1.0)
        top = self._span[1] if self._span else max(float(y.max()) for _, y in lines if len(y))
        plot = make_plot(
            area, (left, max(right, left + 1)), (0.0, 1.1 * top), legend=legend_lines(painter, area, names)
        )
        self._shade(painter, plot, left)
        draw_axes(painter, plot, self.tokens, "sample, warm-up before 0", "latency (ms)")
        for index, (x, y) in enumerate(lines):
            painter.setPen(pen(self.tokens, index))
            points = [plot.point(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
            painter.drawPolyline(QPolygonF(points))
        draw_legend(painter, area, names, self.tokens)

    def hint_at(self, place: QPointF) -> str:  # noqa: D102
        texts = [f"{item.name}: {text}" for item in self._series for *_, text in item.noise if text]
        return "\n".join(["Latency of each sample; shaded red: the machine was disturbed.", *dict.fromkeys(texts)][:6])

    def _shade(self, painter: QPainter, plot: Plot, left: float) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        if left < 0:
            painter.setBrush(QColor(self.tokens.raised))
            warm = QRectF(plot.point(left, plot.y.high), plot.point(0, plot.y.low))
            painter.drawRect(warm)
            painter.setPen(QColor(self.tokens.dim))
            if warm.width() > 60:
                painter.drawText(warm.adjusted(4, 2, 0, 0), Qt.AlignmentFlag.AlignLeft, "warm-up")
        noise = QColor(self.tokens.bad)
        noise.setAlpha(40)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(noise)
        for item in self._series:
            for first, end, _ in item.noise:
                painter.drawRect(QRectF(plot.point(first, plot.y.high), plot.point(end, plot.y.low)))


class DensityChart(SeriesChart):
    """Distribution of the steady latencies; p50, p90 and p99 are marked as far as the samples support them."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__("Distribution of latencies", tokens, parent)

    def draw(self, painter: QPainter, area: QRectF) -> None:  # noqa: D102
        assert self._span is not None
        names = self._names
        curves = [item.density(*self._span) if item.steady else None for item in self._series]
        top = max((float(found[1].max()) for found in curves if found is not None), default=1.0)
        plot = make_plot(area, self._span, (0.0, 1.15 * top), legend=legend_lines(painter, area, names))
        draw_axes(painter, plot, self.tokens, "latency (ms)", "density (1/ms)")
        for index, found in enumerate(curves):
            if found is None:
                continue
            points = [plot.point(x, y) for x, y in zip(found[0].tolist(), found[1].tolist(), strict=True)]
            fill = color(self.tokens, index)
            fill.setAlpha(50)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(fill)
            ends = [plot.point(found[0][-1], 0), plot.point(found[0][0], 0)]
            painter.drawPolygon(QPolygonF([*points, *ends]))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(pen(self.tokens, index))
            painter.drawPolyline(QPolygonF(points))
            self._mark(painter, plot, index)
        draw_legend(painter, area, names, self.tokens)

    def hint_at(self, place: QPointF) -> str:  # noqa: D102
        lines = []
        for item in self._series:
            marks = ", ".join(f"p{share * 100:.0f} {value:.3f} ms" for share, value in item.quantiles())
            lines.append(f"{item.name}: {marks} ({len(item.steady):,} samples)")
        return "\n".join(lines)

    def _mark(self, painter: QPainter, plot: Plot, index: int) -> None:
        """Mark quantiles: the median through the whole height, the others at the foot."""
        for share, value in self._series[index].quantiles():
            if not plot.x.holds(value):
                continue
            x, low = plot.x.at(value), plot.area.bottom()
            style = Qt.PenStyle.DashLine if share == 0.5 else Qt.PenStyle.SolidLine
            painter.setPen(QPen(color(self.tokens, index), 1.4, style))
            high = plot.area.top() if share == 0.5 else low - 16
            painter.drawLine(QPointF(x, low), QPointF(x, high))
            if share > 0.5:
                # each series in a line of its own, so that the marks of two do not cover each other
                painter.drawText(QPointF(x + 3, low - 5 - 12 * (index % 3)), f"p{share * 100:.0f}")


class RatioChart(Chart):
    """The ratio of each pair with its interval against the number of pairs; above 1 is faster."""

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        empty = "Measure two variants or more: each is compared with the baseline in pairs."
        super().__init__("Ratio to the baseline, as pairs come in", empty, tokens, parent)
        self._pairs: tuple[tuple[int, LivePair], ...] = ()

    def show_pairs(self, pairs: Sequence[LivePair], colors: dict[str, int]) -> None:
        """Draw other pairs; `colors` is the place of each name among all series."""
        self._pairs = tuple((colors.get(pair.name, 0), pair) for pair in pairs if pair.points)
        self.update()

    @property
    def ready(self) -> bool:  # noqa: D102
        return bool(self._pairs)

    def draw(self, painter: QPainter, area: QRectF) -> None:  # noqa: D102
        most = max(pair.points[-1].pairs for _, pair in self._pairs)
        low, high = self._span(most)
        plot = make_plot(area.adjusted(0, 0, -self._beside(area), 0), (0.0, float(most)), (max(0.0, low), high))
        draw_axes(painter, plot, self.tokens, "pairs", "times as fast")
        painter.setPen(QPen(QColor(self.tokens.dim), 1.2, Qt.PenStyle.DashLine))
        painter.drawLine(plot.point(0, 1.0), plot.point(most, 1.0))
        for index, pair in self._pairs:
            self._draw_pair(painter, plot, index, pair)
        self._label(painter, area, plot)

    def hint_at(self, place: QPointF) -> str:  # noqa: D102
        return "\n".join(f"{pair.name}: {pair.last.text} {pair.last.verdict}" for _, pair in self._pairs if pair.last)

    def _span(self, most: int) -> tuple[float, float]:
        """Give a range of ratios that shows how they settled: what the first few pairs say may be anything."""
        points = [point for _, pair in self._pairs for point in pair.points]
        settled = [point for point in points if point.pairs >= most / 3] or points
        last = [pair.last for _, pair in self._pairs if pair.last is not None]
        low = min(1.0, *(max(point.low, 0.5 * point.ratio) for point in (*settled, *last)))
        high = max(1.0, *(min(point.high, 2 * point.ratio) for point in (*settled, *last)))
        return padded(low, high)

    def _beside(self, area: QRectF) -> float:
        return min(130.0, 0.3 * area.width())

    def _draw_pair(self, painter: QPainter, plot: Plot, index: int, pair: LivePair) -> None:
        upper = [plot.point(p.pairs, p.high) for p in pair.points]
        lower = [plot.point(p.pairs, p.low) for p in reversed(pair.points)]
        fill = color(self.tokens, index)
        fill.setAlpha(46)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawPolygon(QPolygonF([*upper, *lower]))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen(self.tokens, index))
        painter.drawPolyline(QPolygonF([plot.point(p.pairs, p.ratio) for p in pair.points]))

    def _label(self, painter: QPainter, area: QRectF, plot: Plot) -> None:
        """Write the verdicts right of the curves, from the fastest down, without covering each other."""
        room = 34.0
        found = sorted(((i, p) for i, p in self._pairs if p.last), key=lambda item: -item[1].points[-1].ratio)
        y = plot.area.top()
        for index, pair in found:
            last = pair.last
            assert last is not None
            wanted = plot.y.at(last.ratio) - 12
            y = max(y, min(wanted, plot.area.bottom() - room * (len(found) - found.index((index, pair)))))
            mark = {"faster": "▲", "slower": "▼"}.get(last.verdict, "=")
            x, width = plot.area.right() + 8, self._beside(area) + RIGHT - 10
            name = painter.fontMetrics().elidedText(pair.name.split(" @ ")[0], Qt.TextElideMode.ElideRight, int(width))
            painter.setPen(color(self.tokens, index))
            painter.drawText(QRectF(x, y, width, 15), Qt.AlignmentFlag.AlignLeft, f"{mark} {last.ratio:.2f}x")
            painter.setPen(QColor(self.tokens.dim))
            painter.drawText(QRectF(x, y + 15, width, 15), Qt.AlignmentFlag.AlignLeft, name)
            y += room
