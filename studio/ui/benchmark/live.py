"""The live page of Benchmark: what is measured now, and the latest figures."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QHeaderView, QPushButton, QSplitter, QTableView, QWidget

from studio.benchmark import BenchOptions
from studio.core.measurement import Measurement
from studio.core.project import BASELINE
from studio.ui.benchmark.charts import DensityChart, LatencyChart, RatioChart, short_names
from studio.ui.benchmark.choice import SubjectChoice
from studio.ui.benchmark.model import BenchModel
from studio.ui.benchmark.rows import BenchRow, latest_rows
from studio.ui.benchmark.series import LivePair, LiveRun, LiveSeries
from studio.ui.build import column, words
from studio.ui.charts.bars import BarRow, BarsChart
from studio.ui.controller import Controller
from studio.ui.rows import RowDelegate
from studio.ui.text import size
from studio.ui.theme import Tokens

#: pause between redraws while measuring: the eye wants no more, and drawing takes time from what is measured
REDRAW_MS = 200
EMPTY = "Nothing was measured yet: choose variants and devices, and press Measure."


class LivePage(QWidget):
    """Charts that follow a running benchmark, and a table of what was measured."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._run = LiveRun()
        self._stale = False
        self._running = False
        self.model = BenchModel(controller.tokens, self)
        self._build()
        self._timer = QTimer(self, interval=REDRAW_MS)
        self._timer.timeout.connect(self._redraw)
        controller.samples.connect(self._on_samples)
        controller.busy.connect(self._on_busy)
        controller.changed.connect(self._on_change)
        controller.themed.connect(self._on_theme)
        self._load()

    # what it is made of

    def _build(self) -> None:
        tokens = self._controller.tokens
        self.latency, self.density, self.ratios = LatencyChart(tokens), DensityChart(tokens), RatioChart(tokens)
        self.memory = BarsChart("Memory while running", "Memory is told when a measurement is done.", tokens)
        self.charts = (self.latency, self.density, self.ratios, self.memory)
        rows = QSplitter(Qt.Orientation.Vertical)
        for left, right in ((self.latency, self.density), (self.ratios, self.memory)):
            pair = QSplitter(Qt.Orientation.Horizontal)
            for chart in (left, right):
                pair.addWidget(chart)
            pair.setSizes([560, 440])
            rows.addWidget(pair)
        rows.addWidget(self._table())
        rows.setSizes([260, 230, 170])
        self.status = words(EMPTY)
        layout = column(self, margins=(8, 8, 8, 8))
        layout.addLayout(self._controls())
        layout.addWidget(self.status)
        layout.addWidget(rows, 1)

    def _controls(self) -> QHBoxLayout:
        self.choice = SubjectChoice(self._controller)
        self.seconds = QDoubleSpinBox(minimum=0.5, maximum=600, value=6, suffix=" s each", decimals=1)
        self.seconds.setAccessibleName("Seconds for each pair")
        self.seconds.setToolTip("Time for each pair of a variant and the baseline, warm-up excluded")
        self.start = QPushButton("Measure")
        self.start.setToolTip("Measure the chosen variants on the chosen devices, each in pairs with the baseline")
        self.more = QPushButton("Measure on")
        self.more.setToolTip("Take more pairs of the same: they are added to what was measured, and intervals narrow")
        self.stop = QPushButton("Stop")
        self.stop.setToolTip("Stop; complete pairs are kept")
        self.stop.setEnabled(False)
        self.more.setEnabled(False)
        self.start.clicked.connect(lambda: self.measure())
        self.more.clicked.connect(lambda: self.measure(extend=True))
        self.stop.clicked.connect(self._controller.stop)
        row = QHBoxLayout()
        for widget in (self.choice, self.seconds, self.start, self.more, self.stop):
            row.addWidget(widget)
        row.addStretch(1)
        return row

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setItemDelegate(RowDelegate(table))
        table.setAccessibleName("Figures of the latest benchmark")
        table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setMinimumHeight(90)
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        return table

    # what it does

    def measure(self, variants: list[str] | None = None, *, extend: bool = False) -> None:
        """Measure variants, those that are chosen by default, on the chosen devices."""
        chosen = variants if variants is not None else self.choice.variants
        session = self._controller.session
        if not session.is_open or self._running:
            return
        if not chosen:
            self.status.setText("Choose one variant at least.")
            return
        # The first is what the others are compared with: the baseline whenever it is among them.
        chosen = sorted(chosen, key=lambda variant: variant != BASELINE)
        options = BenchOptions(data=session.data().evaluation, seconds=self.seconds.value())
        self._controller.measure(chosen, options, self.choice.devices or None, extend=extend)

    # reactions

    def _on_samples(self, series: str, values: list[int], info: dict[str, object]) -> None:
        if not self._run.baseline:
            # A benchmark measures its first subject first.
            self._run.baseline = series
        self._run.add(series, values, info)
        self._stale = True

    def _on_busy(self, kind: str, busy: bool) -> None:
        if kind != "measure":
            return
        self._running = busy
        self.stop.setEnabled(busy)
        for control in (self.choice, self.start, self.more, self.seconds):
            control.setEnabled(not busy)
        if busy:
            self._run = LiveRun()
            self.status.setText("Loading and warming up …")
            self._timer.start()
        else:
            self._timer.stop()
            self._redraw()

    def _on_change(self, topic: str) -> None:
        if topic in ("measurements", "project"):
            self._load()

    def _on_theme(self, tokens: Tokens) -> None:
        self.model.set_tokens(tokens)
        for chart in self.charts:
            chart.set_tokens(tokens)

    def _load(self) -> None:
        """Compute the figures of what was measured, off the GUI thread."""
        measurements = self._controller.session.measurements
        self._controller.background.run(lambda: _figures(measurements), self._show, self._controller.failed.emit)

    def _show(self, found: tuple[tuple[BenchRow, ...], dict[str, LiveSeries]]) -> None:
        rows, series = found
        self.model.set_rows(rows)
        self.more.setEnabled(bool(rows) and not self._running)
        if self._running:
            return
        self._run = LiveRun()
        self._run.series = series
        self._run.pairs = {row.key: row.pair for row in rows if row.pair is not None}
        self.memory.set_rows(_memory(rows), by_row=True)
        self.status.setText(_summary(rows))
        self._draw()

    def _redraw(self) -> None:
        if self._stale and self.isVisible():
            self._stale = False
            self._run.estimate()
            self.status.setText(_running(list(self._run.series.values()), list(self._run.pairs.values())))
            self._draw()

    def _draw(self) -> None:
        series = list(self._run.series.values())
        self.latency.show_series(series)
        self.density.show_series(series)
        places = {item.name: index for index, item in enumerate(series)}
        self.ratios.show_pairs(list(self._run.pairs.values()), places)


def _figures(measurements: tuple[Measurement, ...]) -> tuple[tuple[BenchRow, ...], dict[str, LiveSeries]]:
    rows = latest_rows(measurements)
    return rows, {row.key: row.series() for row in rows}


def _memory(rows: tuple[BenchRow, ...]) -> list[BarRow]:
    found = []
    names = short_names([row.key for row in rows])
    for name, row in zip(names, rows, strict=True):
        if row.memory_bytes is not None:
            loaded = f" ({size(row.loaded_bytes)} after loading)" if row.loaded_bytes is not None else ""
            hint = f"{row.key}: loading and running added {size(row.memory_bytes)} at most{loaded}"
            found.append(BarRow(name, (float(row.memory_bytes),), (size(row.memory_bytes),), hint))
    return found


def _running(series: list[LiveSeries], pairs: list[LivePair]) -> str:
    ratios = {pair.name: pair.last for pair in pairs}
    parts = []
    for item in series:
        if item.median is None:
            continue
        ratio = ratios.get(item.name)
        said = f", {ratio.text} {ratio.verdict}" if ratio is not None else ""
        parts.append(f"{item.name}: {item.median:.3f} ms{said}")
    return "Measuring.  " + "   ".join(parts) if parts else "Warming up …"


def _summary(rows: tuple[BenchRow, ...]) -> str:
    if not rows:
        return EMPTY
    notes = list(dict.fromkeys(note for row in rows for note in row.notes))
    if any(row.synthetic for row in rows):
        notes.append("Inputs were generated.")
    verdicts = [row.stability.verdict for row in rows if row.stability is not None]
    if not notes:
        return "Nothing disturbed these runs." if verdicts and set(verdicts) == {"stable"} else "Nothing to note."
    return "  ".join(notes[:3])
