"""The Layers tab: where the time goes, before and after."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from PySide6.QtCore import QSignalBlocker, QSortFilterProxyModel, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QScrollArea,
    QSplitter,
    QTableView,
    QTabWidget,
    QWidget,
)

from studio.analysis.profile import write_trace
from studio.core.layertable import Grouping, LayerTable, layer_table
from studio.core.project import BASELINE, with_recipe
from studio.core.recipe import add_step, parse_step, replace_step
from studio.ui.build import column, named, row, words
from studio.ui.charts.bars import BarRow, BarsChart
from studio.ui.controller import Controller
from studio.ui.dialogs import ask_target
from studio.ui.layers.asking import LayerFacts, find_layers
from studio.ui.layers.model import SORT, LayersModel
from studio.ui.layers.stages import StagesPage
from studio.ui.layers.why import WhyPanel
from studio.ui.rows import RowDelegate
from studio.ui.theme import Tokens

EMPTY = "Choose a variant, or two to compare, and press Profile: every layer's time is shown here."
GROUPINGS = {"executed": "By executed node", "node": "By node of the source", "block": "By block"}
#: rows that are drawn as bars: the table has all
BARS = 24
ALONE = ""


class LayersTab(QWidget):
    """Table and bars of layers, why one variant is slower, and the stages around inference."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._facts: LayerFacts | None = None
        self.model = LayersModel(controller.tokens, self)
        self.chart = BarsChart("Time of the layers", EMPTY, controller.tokens)
        self.why = WhyPanel()
        self.stages = StagesPage(controller)
        self.status = words(EMPTY)
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        for title, page in (("Layers", self._layers()), ("Why", self.why), ("Stages", self.stages)):
            self.pages.addTab(page, title)
        layout = column(self, margins=(8, 8, 8, 8))
        layout.addLayout(self._controls())
        layout.addWidget(self.status)
        layout.addWidget(self.pages, 1)
        self.why.remedy.connect(self.put_into_recipe)
        controller.changed.connect(self._on_change)
        controller.selected.connect(lambda _: self._fill())
        controller.busy.connect(self._on_busy)
        controller.themed.connect(self._on_theme)
        self._fill()

    @property
    def table(self) -> LayerTable | None:
        """What is shown."""
        if self._facts is None:
            return None
        grouping = self.grouping.currentData()
        return layer_table(self._facts.before, self._facts.after, grouping, self._facts.blocks)

    def _controls(self) -> QHBoxLayout:
        self.before = named(QComboBox(), "Before", "The variant that is compared with")
        self.after = named(QComboBox(), "After", "The variant whose layers are shown beside; none for one alone")
        self.seconds = QDoubleSpinBox(minimum=0.5, maximum=600, value=3, suffix=" s", decimals=1)
        named(self.seconds, "Seconds", "Time for the clean latency, which is measured without counters")
        self.start = named(QPushButton("Profile"), tip="Measure the clean latency in pairs, then every layer")
        self.trace = named(QPushButton("Save trace…"), tip="Write a Chrome trace, for ui.perfetto.dev")
        self.trace.setEnabled(False)
        self.grouping = named(QComboBox(), "Grouping", "What a line of the table is")
        for key in get_args(Grouping):
            self.grouping.addItem(GROUPINGS[key], key)
        self.start.clicked.connect(self.profile)
        self.trace.clicked.connect(self._ask_trace)
        self.grouping.currentIndexChanged.connect(lambda _: self._show())
        for box in (self.before, self.after):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(9)
        top = row()
        for widget in (self.before, words("→"), self.after, self.seconds, self.start, self.trace):
            top.addWidget(widget)
        top.addStretch(1)
        top.addWidget(self.grouping)
        return top

    def _layers(self) -> QWidget:
        area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(self.chart)
        sorted_model = QSortFilterProxyModel(self)
        sorted_model.setSourceModel(self.model)
        sorted_model.setSortRole(SORT)
        view = QTableView()
        view.setModel(sorted_model)
        view.setItemDelegate(RowDelegate(view))
        view.setSortingEnabled(True)
        view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        view.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        view.verticalHeader().hide()
        view.setAccessibleName("Layers with their times")
        view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        view.horizontalHeader().setStretchLastSection(True)
        view.setColumnWidth(0, 220)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(area)
        split.addWidget(view)
        split.setSizes([300, 260])
        return split

    # what it does

    def profile(self) -> None:
        """Profile what is chosen, on the window's device."""
        controller = self._controller
        before, after = str(self.before.currentData() or BASELINE), str(self.after.currentData() or ALONE)
        session, device, seconds, watch = controller.session, controller.device, self.seconds.value(), controller.watch
        if session.is_open:
            self.status.setText("Profiling …")
            controller.start(
                "profile", lambda: find_layers(session, before, after, device, seconds, watch), self.show_facts
            )

    def show_facts(self, facts: LayerFacts) -> None:
        """Show what was found."""
        self._facts = facts
        self.trace.setEnabled(True)
        self.why.show_why(facts.why)
        self._show()

    def put_into_recipe(self, text: str) -> None:
        """Add a step to the recipe of the document, or change the one of the same pass."""
        session = self._controller.session

        def work() -> None:
            step = session.work.resolve_one(parse_step(text))
            places = [i for i, item in enumerate(session.project.recipe.steps) if item.pass_id == step.pass_id]
            recipe = session.project.recipe
            edited = replace_step(recipe, places[0], step) if places else add_step(recipe, step)
            session.edit(f"take the remedy {step.pass_id}", lambda project: with_recipe(project, edited))

        self._controller.background.serial(
            work,
            lambda _: self._controller.notice.emit("The recipe was changed; Apply makes the variant."),
            self._controller.failed.emit,
        )

    def save_trace(self, path: Path) -> None:
        """Write a Chrome trace of what is shown."""
        if self._facts is not None:
            profiles = self._facts.profiles
            self._controller.background.run(
                lambda: write_trace(profiles, path),
                lambda _: self._controller.notice.emit(f"Wrote {path.name}; ui.perfetto.dev opens it."),
                self._controller.failed.emit,
            )

    def _ask_trace(self) -> None:
        ask_target(self, "Save Chrome trace", "trace.json", "Chrome traces (*.json)", self.save_trace)

    # reactions

    def _on_busy(self, kind: str, busy: bool) -> None:
        self.start.setEnabled(not busy)
        if kind == "profile" and not busy and self._facts is None:
            self.status.setText(EMPTY)

    def _on_change(self, topic: str) -> None:
        if topic == "project" and self._facts is not None and not self._controller.session.is_open:
            self._forget()
        if topic in ("project", "variants"):
            self._fill()

    def _forget(self) -> None:
        self._facts = None
        self.model.set_table(None)
        self.chart.set_rows(())
        self.why.show_why(None)

    def _fill(self) -> None:
        session = self._controller.session
        variants = session.project.variants if session.is_open else ()
        shown = self._controller.variant
        wanted = {self.before: self.before.currentData() or BASELINE, self.after: shown if shown != BASELINE else ALONE}
        for box, key in wanted.items():
            with QSignalBlocker(box):
                box.clear()
                if box is self.after:
                    box.addItem("alone", ALONE)
                for variant in variants:
                    box.addItem(variant.name, variant.id)
                box.setCurrentIndex(max(0, box.findData(key)))

    def _on_theme(self, tokens: Tokens) -> None:
        self.model.set_tokens(tokens)
        self.chart.set_tokens(tokens)
        self.stages.set_tokens(tokens)

    def _show(self) -> None:
        table, facts = self.table, self._facts
        self.model.set_table(table)
        if table is None or facts is None:
            return
        names = [profile.model_name for profile in facts.profiles]
        rows = table.rows[:BARS]
        self.chart.set_rows(
            [
                BarRow(
                    item.title,
                    tuple(value for value in (item.before_ms, item.after_ms) if value is not None),
                    tuple(f"{value:.3f} ms" for value in (item.before_ms, item.after_ms) if value is not None),
                    "\n".join((item.title, *item.nodes[:8])),
                )
                for item in rows
            ],
            names,
        )
        self.status.setText(_summary(table, facts))


def _summary(table: LayerTable, facts: LayerFacts) -> str:
    before = facts.before
    text = f"{before.model_name} {table.before_ms:.3f} ms"
    if table.after_ms is not None and facts.after is not None:
        text += f" → {facts.after.model_name} {table.after_ms:.3f} ms on {before.device}"
        shares = [row.share for row in table.rows if row.share is not None]
        if table.gain_ms and shares and table.rest_share is not None:
            gain = "gain" if table.gain_ms > 0 else "loss"
            rest = f"{100 * table.rest_share:.0f} % is unexplained"
            text += f"; layers explain {100 * sum(shares):.0f} % of the {gain}, {rest}"
    else:
        text += f" on {before.device}; unexplained {table.rest_before_ms:+.3f} ms"
    if not before.layers:
        text += ". This runtime counts no layers"
    return f"{text}. Latencies without counters, layers with."
