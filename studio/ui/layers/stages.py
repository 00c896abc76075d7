"""From a sample on the disk to a score: how long each stage takes."""

from __future__ import annotations

from PySide6.QtWidgets import QPushButton, QWidget

from studio.analysis.breakdown import break_down
from studio.jobs.tasks.breakdown import Breakdown
from studio.ui.build import column, row, words
from studio.ui.charts.bars import BarRow, BarsChart
from studio.ui.controller import Controller
from studio.ui.subjects import subject_of
from studio.ui.theme import Tokens

EMPTY = "Press Measure stages: samples of the evaluation data go through the shown variant one by one."


class StagesPage(QWidget):
    """A bar for each stage."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.start = QPushButton("Measure stages")
        self.start.setToolTip("Time reading, inputs, inference and postprocessing of the shown variant")
        self.start.clicked.connect(self.measure)
        self.chart = BarsChart("From the data to the score, one sample", EMPTY, controller.tokens)
        self.note = words()
        layout = column(self, margins=(8, 8, 8, 8))
        top = row()
        top.addWidget(self.start)
        top.addStretch(1)
        layout.addLayout(top)
        layout.addWidget(self.note)
        layout.addWidget(self.chart, 1)
        controller.busy.connect(lambda _, busy: self.start.setEnabled(not busy))

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self.chart.set_tokens(tokens)

    def measure(self) -> None:
        """Time the stages of the shown variant on the window's device."""
        session, variant, device = self._controller.session, self._controller.variant, self._controller.device
        if not session.is_open:
            return
        watch = self._controller.watch

        def work() -> Breakdown:
            subject = subject_of(session, variant, device)
            return break_down(session.work, subject, session.data().evaluation, watch=watch)

        self._controller.start("profile", work, self._show)

    def _show(self, found: Breakdown) -> None:
        rows = []
        for stage in found.stages:
            time = None if stage.nanoseconds is None else stage.nanoseconds / 1e6
            text = "not measurable here" if time is None else f"{time:.3f} ms"
            rows.append(BarRow(stage.title, (time,), (text,), stage.note))
        self.chart.set_rows(rows, by_row=True)
        notes = " ".join(stage.note for stage in found.stages if stage.note)
        self.note.setText(f"Medians of {found.samples} samples of {found.data}, one at a time. {notes}")
