"""The Compare tab: all variants in one table, their Pareto front, bars and radar; taken away as CSV or a page."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QModelIndex, QSignalBlocker, QSortFilterProxyModel, Qt
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QScrollArea,
    QTableView,
    QTabWidget,
    QToolButton,
    QWidget,
)

from studio.core.atomic import write_atomic
from studio.core.energy import EnergyMeter
from studio.ui.benchmark.rows import latest_rows
from studio.ui.build import column, named, row, words
from studio.ui.charts.bars import BarRow, BarsChart
from studio.ui.checklist import CheckList
from studio.ui.compare.charts import ParetoChart, RadarChart, labels
from studio.ui.compare.model import CompareModel
from studio.ui.compare.report import drawings, session_report
from studio.ui.compare.rows import BY_KEY, QUANTITIES, CompareRow, Quantity, as_csv, compare_rows
from studio.ui.controller import Controller
from studio.ui.dialogs import ask_target
from studio.ui.rows import RowDelegate
from studio.ui.theme import Tokens

EMPTY = "Measure and evaluate variants: what is found of them stands here side by side."


class CompareTab(QWidget):
    """A sortable table of the chosen variants and charts of them; a double click or a click on a point shows one."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._rows: tuple[CompareRow, ...] = ()
        self._known: set[str] = set()
        self._readable = EnergyMeter().readable
        self.model = CompareModel(self)
        self.pareto, self.radar = ParetoChart(controller.tokens), RadarChart(controller.tokens)
        self.bars = BarsChart("Bars", EMPTY, controller.tokens)
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        for title, page in (
            ("Table", self._table()),
            ("Pareto", self._pareto_page()),
            ("Bars", self._bars_page()),
            ("Radar", self.radar),
        ):
            self.pages.addTab(page, title)
        layout = column(self, margins=(8, 8, 8, 8))
        layout.addLayout(self._controls())
        layout.addWidget(self.pages, 1)
        self.pareto.opened.connect(controller.select)
        controller.changed.connect(self._on_change)
        controller.selected.connect(lambda _: self._draw())
        controller.themed.connect(self._on_theme)
        self._refresh()

    # what it is made of

    def _controls(self) -> QHBoxLayout:
        self.choice = CheckList("Variants", "Which variants are compared")
        self.choice.changed.connect(self._show)
        self.export = QToolButton()
        self.export.setText("Export")
        self.export.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        named(self.export, "Export", "Copy or save the table, or write everything as one HTML page")
        menu = QMenu(self.export)
        menu.addAction("Copy as CSV", lambda: QApplication.clipboard().setText(as_csv(self.model.rows)))
        menu.addAction("Save as CSV…", lambda: self._ask("comparison.csv", "Tables (*.csv)", self.save_csv))
        menu.addAction("Save HTML report…", lambda: self._ask("report.html", "Pages (*.html)", self.save_report))
        self.export.setMenu(menu)
        hint = words("A click on a head sorts; a double click, or a click on a point, shows the variant.")
        top = row()
        top.addWidget(self.choice)
        top.addWidget(hint, 1)
        top.addWidget(self.export)
        return top

    def _table(self) -> QTableView:
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self.model)
        self._sorted.setSortRole(Qt.ItemDataRole.UserRole)
        view = QTableView()
        view.setModel(self._sorted)
        view.setItemDelegate(RowDelegate(view))
        view.setSortingEnabled(True)
        view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        view.setShowGrid(False)
        view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        view.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        view.verticalHeader().hide()
        view.setAccessibleName("All variants compared")
        view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        view.horizontalHeader().setStretchLastSection(True)
        view.doubleClicked.connect(self._open)
        self._view = view
        return view

    def _pareto_page(self) -> QWidget:
        self.across = named(QComboBox(), "Across", "The quantity from left to right")
        self.up = named(QComboBox(), "Up", "The quantity from below")
        page = QWidget()
        layout = column(page, margins=(0, 6, 0, 0))
        top = row()
        for text, box, key in (("Across", self.across, "ratio"), ("Up", self.up, "accuracy")):
            _fill(box, QUANTITIES, key)
            box.currentIndexChanged.connect(lambda _: self._draw())
            top.addWidget(words(text))
            top.addWidget(box)
        top.addStretch(1)
        layout.addLayout(top)
        layout.addWidget(self.pareto, 1)
        return page

    def _bars_page(self) -> QWidget:
        self.figure = named(QComboBox(), "Quantity", "What the bars show")
        _fill(self.figure, QUANTITIES, "p50")
        self.figure.currentIndexChanged.connect(lambda _: self._draw())
        area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(self.bars)
        page = QWidget()
        layout = column(page, margins=(0, 6, 0, 0))
        top = row()
        top.addWidget(self.figure)
        top.addStretch(1)
        layout.addLayout(top)
        layout.addWidget(area, 1)
        return page

    # what can be taken away

    def save_csv(self, path: Path) -> None:
        """Write the table as CSV."""
        text = as_csv(self.model.rows)
        self._write(path, lambda: text)

    def save_report(self, path: Path) -> None:
        """Write all that is known of the chosen variants as one HTML page."""
        session, rows = self._controller.session, self.model.rows
        if session.is_open:
            drawn = drawings(rows)
            self._write(path, lambda: session_report(session, rows, drawn))

    def _write(self, path: Path, make: object) -> None:
        def work() -> None:
            assert callable(make)
            write_atomic(path, make())

        self._controller.background.run(
            work, lambda _: self._controller.notice.emit(f"Wrote {path}."), self._controller.failed.emit
        )

    def _ask(self, name: str, pattern: str, chosen: object) -> None:
        assert callable(chosen)
        ask_target(self, "Export the comparison", name, pattern, chosen)

    # reactions

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants", "measurements", "evaluations", "cold"):
            self._refresh()

    def _on_theme(self, tokens: Tokens) -> None:
        for chart in (self.pareto, self.radar, self.bars):
            chart.set_tokens(tokens)

    def _refresh(self) -> None:
        session = self._controller.session
        if not session.is_open:
            self._take(())
            return
        variants, measured, scored = session.project.variants, session.measurements, session.evaluations
        energy, readable = self._controller.energy(), self._readable
        self._controller.background.run(
            lambda: compare_rows(variants, latest_rows(measured), scored, energy, readable=readable),
            self._take,
            self._controller.failed.emit,
        )

    def _take(self, rows: tuple[CompareRow, ...]) -> None:
        """Show other rows; a new variant is among the chosen."""
        self._rows = rows
        names = {item.variant: item.name for item in rows}
        kept = [key for key in names if key not in self._known or key in self.choice.chosen]
        self._known = set(names)
        self.choice.set_items(list(names.items()), kept)
        self._show()

    def _show(self) -> None:
        chosen = set(self.choice.chosen)
        self.model.set_rows(tuple(item for item in self._rows if item.variant in chosen))
        self._draw()

    def _draw(self) -> None:
        rows = self.model.rows
        x, y = BY_KEY[self.across.currentData()], BY_KEY[self.up.currentData()]
        if y.key == "accuracy" and not any("accuracy" in item.values for item in rows):
            # Nothing was evaluated yet: the size is known of every variant.
            y = BY_KEY["size"]
        self.pareto.show_rows(rows, x, y, self._controller.variant)
        self.radar.show_rows(rows)
        quantity = BY_KEY[self.figure.currentData()]
        known = [item for item in rows if quantity.key in item.values]
        self.bars.title = quantity.title[0].upper() + quantity.title[1:]
        self.bars.set_rows(
            [
                BarRow(name, (item.values[quantity.key],), (quantity.text(item.values[quantity.key]),))
                for name, item in zip(labels(known), known, strict=True)
            ],
            by_row=True,
        )

    def _open(self, index: QModelIndex) -> None:
        self._controller.select(self.model.rows[self._sorted.mapToSource(index).row()].variant)


def _fill(box: QComboBox, quantities: tuple[Quantity, ...], key: str) -> None:
    with QSignalBlocker(box):
        for quantity in quantities:
            box.addItem(quantity.title, quantity.key)
        box.setCurrentIndex(box.findData(key))
