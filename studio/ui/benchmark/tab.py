"""The Benchmark tab: what is measured now, and the latest figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSplitter,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from studio.benchmark import BenchOptions
from studio.core.project import BASELINE
from studio.ui.benchmark.model import BenchModel
from studio.ui.benchmark.rows import BenchRow, latest_rows
from studio.ui.benchmark.series import LiveSeries
from studio.ui.controller import Controller
from studio.ui.rows import RowDelegate
from studio.ui.theme import Tokens

if TYPE_CHECKING:
    from studio.ui.benchmark.charts import DensityChart, LatencyChart

#: redraws a second while measuring: the eye wants no more, and drawing takes time from what is measured
REDRAW_MS = 200


class BenchmarkTab(QWidget):
    """Charts that follow a running benchmark, and a table of what was measured."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._series: dict[str, LiveSeries] = {}
        self._stale = False
        self._running = False
        self._model = BenchModel(controller.tokens, self)
        self._build()
        self._timer = QTimer(self, interval=REDRAW_MS)
        self._timer.timeout.connect(self._redraw)
        controller.samples.connect(self._on_samples)
        controller.busy.connect(self._on_busy)
        controller.changed.connect(self._on_change)
        controller.themed.connect(self._on_theme)
        self._load()

    def _build(self) -> None:
        # Here and not above: pyqtgraph takes most of a second to import.
        from studio.ui.benchmark.charts import DensityChart, LatencyChart

        self._latency: LatencyChart = LatencyChart(self._controller.tokens)
        self._density: DensityChart = DensityChart(self._controller.tokens)
        charts = QSplitter(Qt.Orientation.Horizontal)
        charts.addWidget(self._latency)
        charts.addWidget(self._density)
        charts.setSizes([600, 400])
        body = QSplitter(Qt.Orientation.Vertical)
        body.addWidget(charts)
        body.addWidget(self._table())
        body.setSizes([420, 200])
        self._status = QLabel("Nothing was measured yet: press Benchmark.")
        self._status.setProperty("quiet", True)
        self._status.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addLayout(self._controls())
        layout.addWidget(self._status)
        layout.addWidget(body, 1)

    def _controls(self) -> QHBoxLayout:
        self._seconds = QDoubleSpinBox(minimum=0.5, maximum=600, value=6, suffix=" s for each pair", decimals=1)
        self._seconds.setAccessibleName("Seconds for each pair")
        self._shown = QPushButton("Measure this variant")
        self._shown.setToolTip("Measure the shown variant in pairs with the baseline, in random order")
        self._all = QPushButton("Measure all")
        self._all.setToolTip("Measure every variant, each in pairs with the baseline")
        self._stop = QPushButton("Stop")
        self._stop.setToolTip("Stop; complete pairs are kept")
        self._stop.setEnabled(False)
        self._shown.clicked.connect(lambda: self.measure(list(dict.fromkeys((BASELINE, self._controller.variant)))))
        self._all.clicked.connect(self._measure_all)
        self._stop.clicked.connect(self._controller.stop)
        row = QHBoxLayout()
        for widget in (self._shown, self._all, self._seconds, self._stop):
            row.addWidget(widget)
        row.addStretch(1)
        return row

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self._model)
        table.setItemDelegate(RowDelegate(table))
        table.setAccessibleName("Figures of the latest benchmark")
        table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self._view = table
        return table

    def measure(self, variants: list[str]) -> None:
        """Measure variants with the options of this tab."""
        if self._controller.session.is_open and not self._running:
            data = self._controller.session.data().evaluation
            self._controller.measure(variants, BenchOptions(data=data, seconds=self._seconds.value()))

    def _measure_all(self) -> None:
        if self._controller.session.is_open:
            self.measure([variant.id for variant in self._controller.session.project.variants])

    # reactions

    def _on_samples(self, series: str, values: list[int], info: dict[str, object]) -> None:
        self._series.setdefault(series, LiveSeries(series)).add(values, str(info.get("phase", "steady")))
        self._stale = True

    def _on_busy(self, kind: str, busy: bool) -> None:
        if kind != "measure":
            return
        self._running = busy
        self._stop.setEnabled(busy)
        for button in (self._shown, self._all, self._seconds):
            button.setEnabled(not busy)
        if busy:
            self._series.clear()
            self._status.setText("Loading and warming up …")
            self._timer.start()
        else:
            self._timer.stop()
            self._redraw()

    def _on_change(self, topic: str) -> None:
        if topic in ("measurements", "project"):
            self._load()

    def _on_theme(self, tokens: Tokens) -> None:
        self._model.set_tokens(tokens)
        self._latency.dress(tokens)
        self._density.dress(tokens)
        self._draw()

    def _load(self) -> None:
        """Compute the figures of what was measured, off the GUI thread."""
        measurements = self._controller.session.measurements
        self._controller.background.run(lambda: latest_rows(measurements), self._show)

    def _show(self, rows: tuple[BenchRow, ...]) -> None:
        self._model.set_rows(rows)
        if self._running:
            return
        self._series = {}
        for row in rows:
            series = self._series.setdefault(row.key, LiveSeries(row.key))
            series.add(row.warmup_ns, "warmup")
            series.add(row.samples_ns, "steady")
        self._status.setText(_summary(rows))
        self._draw()

    def _redraw(self) -> None:
        if self._stale and self.isVisible():
            self._stale = False
            self._status.setText(_running(list(self._series.values())))
            self._draw()

    def _draw(self) -> None:
        series = list(self._series.values())
        self._latency.draw(series, self._controller.tokens)
        self._density.draw(series, self._controller.tokens)


def _running(series: list[LiveSeries]) -> str:
    parts = [
        f"{item.name}: {item.median:.3f} ms ({len(item.steady):,} samples)"
        for item in series
        if item.median is not None
    ]
    return "Measuring.  " + "   ".join(parts) if parts else "Warming up …"


def _summary(rows: tuple[BenchRow, ...]) -> str:
    if not rows:
        return "Nothing was measured yet: press Benchmark."
    notes = list(dict.fromkeys(note for row in rows for note in row.notes))
    if any(row.synthetic for row in rows):
        notes.append("Inputs were generated.")
    return "  ".join(notes[:3]) if notes else "Nothing disturbed these runs."
