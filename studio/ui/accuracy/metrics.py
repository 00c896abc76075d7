"""Figures of accuracy: each variant's metric with its interval, and whether it differs from the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from studio.core.evaluation import Evaluation
from studio.core.project import BASELINE, with_settings
from studio.ui.bars import Bar, BarChart
from studio.ui.controller import Controller
from studio.ui.text import difference

EMPTY = "Nothing was evaluated yet. Choose data with labels, or compare variants with the baseline on any data."
DATA_FILTER = "Data (*.npz *.csv *.jsonl);;All files (*)"


class MetricsPage(QWidget):
    """Bars with error bars, one for each variant, by the chosen metric."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._chart = BarChart(controller.tokens)
        self._chart.setAccessibleName("Accuracy of each variant with its 95 % interval")
        self._note = QLabel(EMPTY)
        self._note.setWordWrap(True)
        self._note.setProperty("quiet", True)
        area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(self._chart)
        layout = QVBoxLayout(self)
        layout.addLayout(self._controls())
        layout.addWidget(self._note)
        layout.addWidget(area, 1)
        controller.changed.connect(self._on_change)
        controller.busy.connect(self._on_busy)
        controller.themed.connect(self._chart.set_tokens)
        self._refresh()

    def _controls(self) -> QHBoxLayout:
        self._metric = QComboBox()
        self._metric.setAccessibleName("Metric that is shown")
        self._metric.currentIndexChanged.connect(self._draw)
        self._by = QComboBox()
        self._by.setAccessibleName("Metric to evaluate by")
        self._by.setToolTip("What 'Evaluate' computes: the metrics that suit the data, or one of all")
        self._by.addItem("metrics that suit the data", "")
        registry = self._controller.session.work.registry
        for name in registry.ids("metric"):
            self._by.addItem(registry.title("metric", name), name)
        self._by.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._by.setMinimumContentsLength(20)
        self._shown = QPushButton("Evaluate this variant")
        self._shown.clicked.connect(lambda: self.evaluate(list(dict.fromkeys((BASELINE, self._controller.variant)))))
        self._all = QPushButton("Evaluate all")
        self._all.clicked.connect(self._evaluate_all)
        self._data = QPushButton("Data…")
        self._data.setToolTip("Held-out samples to evaluate on: an .npz, a .csv or .jsonl manifest")
        self._data.clicked.connect(self._choose_data)
        self._source = QLabel()
        self._source.setProperty("quiet", True)
        self._source.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QHBoxLayout()
        for widget in (self._shown, self._all, QLabel("by"), self._by, self._data, self._source):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(QLabel("Shown"))
        row.addWidget(self._metric)
        return row

    def evaluate(self, variants: list[str]) -> None:
        """Evaluate variants on the project's evaluation data, by the chosen metric; the first is the baseline."""
        if self._controller.session.is_open:
            chosen = str(self._by.currentData())
            self._controller.evaluate(variants, (chosen,) if chosen else ())

    def set_data(self, path: Path) -> None:
        """Evaluate on other data from now on."""
        session = self._controller.session
        self._controller.background.serial(
            lambda: session.edit("evaluation data", lambda project: with_settings(project, evaluation=str(path))),
            failed=self._controller.failed.emit,
        )

    def _evaluate_all(self) -> None:
        if self._controller.session.is_open:
            self.evaluate([variant.id for variant in self._controller.session.project.variants])

    def _choose_data(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Evaluation data", "", DATA_FILTER)
        if name:
            self.set_data(Path(name))

    # reactions

    def _on_busy(self, kind: str, busy: bool) -> None:
        if kind == "evaluate":
            for button in (self._shown, self._all):
                button.setEnabled(not busy)

    def _on_change(self, topic: str) -> None:
        if topic in ("evaluations", "project", "variants"):
            self._refresh()

    def _refresh(self) -> None:
        session = self._controller.session
        path = session.data().evaluation if session.is_open else None
        self._source.setText(path.name if path else "generated inputs: no data was chosen")
        self._source.setToolTip(str(path or ""))
        titles = {item.metric: item.title for item in session.evaluations}
        shown = self._metric.currentData()
        self._metric.blockSignals(True)
        self._metric.clear()
        for metric, title in titles.items():
            self._metric.addItem(title, metric)
        self._metric.setCurrentIndex(max(0, self._metric.findData(shown)))
        self._metric.blockSignals(False)
        self._draw()

    def _draw(self) -> None:
        evaluations = self._controller.session.evaluations
        rows = latest(evaluations, str(self._metric.currentData() or ""))
        self._chart.set_bars([bar(item) for item in rows])
        self._note.setText(note(rows))


def latest(evaluations: Sequence[Evaluation], metric: str) -> list[Evaluation]:
    """Give the latest evaluation of each model and device by one metric."""
    found = {(item.model_name, item.device): item for item in evaluations if item.metric == metric}
    return list(found.values())


def bar(item: Evaluation) -> Bar:
    """Write an evaluation as a bar."""
    scale, unit = (100.0, " %") if item.unit == "fraction" else (1.0, f" {item.unit}" if item.unit else "")
    estimate, gap = item.estimate, item.difference
    text = f"{estimate.value * scale:.2f}{unit} ({estimate.low * scale:.2f} to {estimate.high * scale:.2f})"
    said, good = "", None
    if gap is not None:
        said = difference(gap, item.unit) + (": differs" if gap.significant else ": no significant difference")
        good = ((gap.value > 0) == item.higher_is_better) if gap.significant else None
    low, high = estimate.low * scale, estimate.high * scale
    return Bar(item.model_name, estimate.value * scale, low, high, text, said, good)


def note(rows: Sequence[Evaluation]) -> str:
    """Say on what the bars stand."""
    if not rows:
        return EMPTY
    last = rows[-1]
    data = "generated inputs, which say little about real data" if last.synthetic else last.dataset
    warnings = "".join(f"\n▲ {text}" for text in dict.fromkeys(text for item in rows for text in item.warnings))
    return (
        f"{last.title} on {data}, {last.estimate.samples:,} samples, {last.device}; bars start at the left edge of the "
        "scale, not at 0; the line across a bar is the 95 % interval."
        f"{warnings}"
    )
