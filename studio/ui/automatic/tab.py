"""The Optimize tab: what is tried, the Pareto picture as it grows, and the proposal."""

from __future__ import annotations

import time

from PySide6.QtCore import QModelIndex, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHeaderView, QPushButton, QSplitter, QTableView, QWidget

from studio.analysis.automatic import AutoResult
from studio.core.project import with_recipe
from studio.ui.automatic.chart import ParetoChart
from studio.ui.automatic.model import TrialsModel
from studio.ui.automatic.search import summary
from studio.ui.automatic.wishes import Wishes
from studio.ui.build import column, heading, named, row, words
from studio.ui.controller import Controller
from studio.ui.rows import RowDelegate
from studio.ui.text import duration
from studio.ui.theme import Tokens

WHAT = (
    "Burnish tries what the surveys expect most of on the chosen device, measures each variant in pairs with the "
    "baseline, and proposes the fastest that stays inside the budget. Every try is a variant like any other."
)
ENDS = {
    "exhausted": "Done: nothing else is expected to gain.",
    "time": "The time was up.",
    "asked": "Stopped; what was found is kept.",
    "enough": "Done: enough was tried.",
}


class AutomaticTab(QWidget):
    """Follows the search; works as well when it was started elsewhere."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._search = controller.search
        self._since = 0.0
        self.chart = ParetoChart(controller.tokens)
        self.model = TrialsModel(controller.tokens, self)
        self.go = QPushButton("Optimize for me")
        self.go.setProperty("primary", True)
        self.go.clicked.connect(lambda: self._search.stop() if self._search.running else self._search.start())
        self.status = words(WHAT)
        self._timer = QTimer(self, interval=1000)
        self._timer.timeout.connect(self._tick)
        self._proposal = self._make_proposal()
        self.table = self._make_table()
        self._lay_out()
        self._search.progressed.connect(self._show)
        self._search.running_changed.connect(self._on_running)
        self.chart.chosen.connect(controller.select)
        controller.selected.connect(self.chart.set_current)
        controller.themed.connect(self._on_theme)
        controller.busy.connect(lambda *_: self._enable())
        controller.changed.connect(lambda _: self._enable())
        self._busy: set[str] = set()
        controller.busy.connect(self._on_busy)
        self._show(self._search.result)
        self._on_running(self._search.running)

    def _lay_out(self) -> None:
        top = row(spacing=10)
        top.addWidget(Wishes(self._search))
        top.addWidget(self.go)
        top.addStretch(1)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.chart)
        parts.addWidget(self.table)
        parts.setSizes([380, 220])
        parts.setChildrenCollapsible(False)
        whole = column(self, spacing=8, margins=(10, 8, 10, 8))
        whole.addLayout(top)
        whole.addWidget(self.status)
        whole.addWidget(self._proposal)
        whole.addWidget(parts, 1)

    def _make_proposal(self) -> QFrame:
        frame = QFrame()
        frame.setProperty("card", True)
        self.proposed = heading("")
        self.proposed.setWordWrap(True)
        self._why = words()
        texts = column(spacing=1)
        texts.addWidget(self.proposed)
        texts.addWidget(self._why)
        line = row(frame, spacing=8, margins=(12, 8, 10, 8))
        line.addLayout(texts, 1)
        self.buttons: dict[str, QPushButton] = {}
        for name, text, tip, call in (
            ("show", "Show it", "Show the variant in the graph and everywhere", self._show_best),
            ("recipe", "Edit its recipe", "Take its steps over into the recipe at the right", self._edit_best),
            ("export", "Export…", "Write a bundle of it that runs without Burnish", self._export_best),
        ):
            button = named(QPushButton(text), tip=tip)
            button.clicked.connect(call)
            line.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
            self.buttons[name] = button
        return frame

    def _make_table(self) -> QTableView:
        table = named(QTableView(), "What was tried")
        table.setModel(self.model)
        table.setItemDelegate(RowDelegate(table))
        table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        table.activated.connect(self._open)
        table.clicked.connect(self._open)
        return table

    # reactions

    def _show(self, result: AutoResult | None) -> None:
        self.chart.set_result(result)
        self.model.set_result(result)
        best = result.best if result is not None else None
        self._proposal.setVisible(result is not None and (best is not None or bool(result.ended)))
        if result is not None:
            self.proposed.setText(_headline(result))
            self._why.setText(_reservations(result))
            self._why.setVisible(bool(self._why.text()))
        for button in self.buttons.values():
            button.setVisible(best is not None)
        self._tick()

    def _on_running(self, running: bool) -> None:
        self.go.setText("Stop" if running else "Optimize for me")
        self.go.setToolTip("Stop; the best so far is kept" if running else WHAT)
        if running:
            self._since = time.monotonic()
            self._timer.start()
        else:
            self._timer.stop()
        self._enable()
        self._tick()

    def _tick(self) -> None:
        result, running = self._search.result, self._search.running
        if running:
            passed = time.monotonic() - self._since
            left = max(0.0, self._search.options.time_limit - passed)
            trying = result.trying if result is not None and result.trying else "the next"
            tried = len(result.trials) if result is not None else 0
            self.status.setText(f"Trying {trying}. {tried} tried, {duration(left)} left at most.")
        elif result is not None and result.ended:
            self.status.setText(f"{ENDS[result.ended]} {len(result.trials)} tried in {duration(result.seconds)}.")
        else:
            self.status.setText(WHAT)

    def _on_busy(self, kind: str, busy: bool) -> None:
        (self._busy.add if busy else self._busy.discard)(kind)
        self._enable()

    def _enable(self) -> None:
        session = self._controller.session
        ready = session.is_open and session.detected is not None and not self._busy
        self.go.setEnabled(self._search.running or ready)

    def _on_theme(self, tokens: Tokens) -> None:
        self.chart.set_tokens(tokens)
        self.model.set_tokens(tokens)
        self.model.set_result(self._search.result)

    def _open(self, index: QModelIndex) -> None:
        trial = self.model.trial(index)
        known = {variant.id for variant in self._controller.session.project.variants}
        if trial is not None and trial.variant in known:
            self._controller.select(trial.variant)

    # the proposal

    def _best(self) -> str:
        """Give the id of the variant that is proposed, if it is still there."""
        result = self._search.result
        best = result.best if result is not None else None
        known = {variant.id for variant in self._controller.session.project.variants}
        return best.variant if best is not None and best.variant in known else ""

    def _show_best(self) -> None:
        if self._best():
            self._controller.select(self._best())
            self._controller.tab_asked.emit("Graph")

    def _edit_best(self) -> None:
        best, session = self._best(), self._controller.session
        if best:
            edit = lambda doc: with_recipe(doc, doc.recipe_of(best))  # noqa: E731
            self._controller.background.run(
                lambda: session.edit("take over a recipe", edit), failed=self._controller.failed.emit
            )

    def _export_best(self) -> None:
        if self._best():
            self._controller.select(self._best())
            self._controller.tab_asked.emit("Deploy")


def _headline(result: AutoResult) -> str:
    return summary(result) if result.best is None else f"Proposed: {summary(result)}"


def _reservations(result: AutoResult) -> str:
    """Say what limits the worth of the proposal."""
    best, notes = result.best, []
    if best is not None and best.loss is not None:
        loss = best.loss
        if loss.high > result.options.budget:
            notes.append(f"The loss may be up to {loss.high:.2f} points: more evaluation samples would tell.")
        if loss.synthetic:
            notes.append("Inputs were generated: give evaluation data (Model menu) to know what is lost on yours.")
    return " ".join(notes)
