"""What a start costs: import, load, first inference, memory and energy, in fresh processes."""

from __future__ import annotations

from PySide6.QtWidgets import QPushButton, QScrollArea, QSpinBox, QSplitter, QWidget

from studio.analysis.cold import ColdReport, Spread, StartFigures, cold_start
from studio.benchmark import BenchOptions
from studio.core.energy import NOT_READABLE
from studio.ui.benchmark.choice import SubjectChoice
from studio.ui.build import column, row, words
from studio.ui.charts.bars import BarRow, BarsChart
from studio.ui.controller import Controller
from studio.ui.subjects import subject_of
from studio.ui.text import size
from studio.ui.theme import Tokens

EMPTY = "Choose variants and press Measure starts: each is loaded in fresh processes, several times."


class ColdPage(QWidget):
    """Bars of the stages of a start, and of memory, for each chosen variant on each chosen device."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._found: dict[str, ColdReport] = {}
        self.choice = SubjectChoice(controller)
        self.rounds = QSpinBox(minimum=1, maximum=50, value=3, suffix=" starts each")
        self.rounds.setAccessibleName("Starts of each")
        self.rounds.setToolTip("Fresh processes for each variant, plain and with what the engine kept")
        self.start = QPushButton("Measure starts")
        self.start.setToolTip("Start each in fresh processes; the file cache of the system stays warm")
        self.start.clicked.connect(self.measure)
        self.note = words(EMPTY)
        self.times = BarsChart("From an empty process to the first result (ms)", EMPTY, controller.tokens)
        self.memory = BarsChart("Memory: file, weights, after loading, at most", EMPTY, controller.tokens)
        top = row()
        for widget in (self.choice, self.rounds, self.start):
            top.addWidget(widget)
        top.addStretch(1)
        split = QSplitter()
        for chart in (self.times, self.memory):
            area = QScrollArea(widgetResizable=True)
            area.setFrameShape(QScrollArea.Shape.NoFrame)
            area.setWidget(chart)
            split.addWidget(area)
        layout = column(self, margins=(8, 8, 8, 8))
        layout.addLayout(top)
        layout.addWidget(self.note)
        layout.addWidget(split, 1)
        controller.busy.connect(lambda _, busy: self.start.setEnabled(not busy))
        controller.changed.connect(self._on_change)
        controller.themed.connect(self._on_theme)

    def measure(self) -> None:
        """Start every chosen variant on every chosen device."""
        controller, session = self._controller, self._controller.session
        variants, rounds = self.choice.variants, self.rounds.value()
        devices = self.choice.devices or [controller.device]
        if not session.is_open or not variants:
            return
        self.note.setText("Starting …")

        def work() -> None:
            options = BenchOptions(data=session.data().evaluation)
            for device in devices:
                for variant in variants:
                    subject = subject_of(session, variant, device)
                    found = cold_start(session.work, subject, options, rounds, watch=controller.watch)
                    controller.background.post(lambda found=found: self._take(found))  # type: ignore[misc]

        controller.start("cold", work)

    def _take(self, found: ColdReport) -> None:
        self._found[f"{found.model_name} @ {found.device}"] = found
        self._controller.keep_cold(found)
        self._draw()

    def _draw(self) -> None:
        times, memory = [], []
        for key, found in self._found.items():
            times.append(_start_row(key, found.plain))
            if found.cached is not None:
                times.append(_start_row(f"{key}, kept by the engine", found.cached))
            memory.append(_memory_row(key, found))
        stages = ("engine import", "load", "first inference", "total")
        self.times.set_rows(times, stages)
        self.memory.set_rows(memory, ("weights in the file", "after loading", "at most"))
        self.note.setText("  ".join(_notes(list(self._found.values()))))

    def _on_change(self, topic: str) -> None:
        if topic == "project" and self._found and not self._controller.session.measurements:
            self._found = {}
            self._draw()
            self.note.setText(EMPTY)

    def _on_theme(self, tokens: Tokens) -> None:
        self.times.set_tokens(tokens)
        self.memory.set_tokens(tokens)


def _start_row(label: str, found: StartFigures) -> BarRow:
    spreads = (found.engine_import, found.load, found.first, found.total)
    stages = ", ".join(f"{name} {spread.median:.1f} ms" for name, spread in found.stages.items())
    hint = f"{label}: medians of {found.rounds} starts. Load: {stages or 'one stage'}. Steady {_spread(found.steady)}"
    return BarRow(label, tuple(item.median for item in spreads), tuple(_spread(item) for item in spreads), hint)


def _memory_row(label: str, found: ColdReport) -> BarRow:
    values = (float(found.weight_bytes), found.loaded_bytes.median, found.peak_bytes.median)
    arena = "" if found.activation_bytes is None else f"; activations need {size(found.activation_bytes)} at least"
    return BarRow(label, values, tuple(size(value) for value in values), f"{label}{arena}")


def _spread(found: Spread) -> str:
    return f"{found.median:.1f} ({found.least:.1f}-{found.most:.1f})"


def _notes(found: list[ColdReport]) -> list[str]:
    notes = [note for item in found for note in item.notes]
    energies = [item for item in found if item.joules is not None]
    for item in energies:
        assert item.joules is not None
        notes.append(f"{item.model_name}: {item.joules.median * 1e3:.2f} mJ an inference.")
    if not energies:
        notes.append(f"Energy: {NOT_READABLE}.")
    kept = [f"{item.model_name} kept {size(item.cache_bytes)}." for item in found if item.cached is not None]
    return list(dict.fromkeys((*notes, *kept)))
