"""The Compare tab: all variants in one table."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from studio.core.evaluation import Evaluation
from studio.core.project import Variant
from studio.ui.benchmark.rows import BenchRow, latest_rows
from studio.ui.controller import Controller
from studio.ui.rows import RowDelegate
from studio.ui.text import difference, size

Index = QModelIndex | QPersistentModelIndex
HEADS = (
    "Variant",
    "Device",
    "p50",
    "Ratio",
    "Throughput",
    "Memory",
    "Size",
    "Nodes",
    "Accuracy",
    "Against the baseline",
)


@dataclass(frozen=True)
class CompareRow:
    """A variant on a device: what is shown of each column, and by what it is sorted."""

    variant: str
    cells: tuple[str, ...]
    keys: tuple[float | str, ...]


def compare_rows(
    variants: tuple[Variant, ...], bench: tuple[BenchRow, ...], evaluations: tuple[Evaluation, ...]
) -> tuple[CompareRow, ...]:
    """Join what is known of each variant; one that was measured on several devices has a row for each."""
    rows: list[CompareRow] = []
    for variant in variants:
        measured: list[BenchRow | None] = [row for row in bench if row.name == variant.name]
        scored = [item for item in evaluations if item.model_sha256 == variant.model]
        rows.extend(_row(variant, row, scored[-1] if scored else None) for row in measured or [None])
    return tuple(rows)


def _row(variant: Variant, row: BenchRow | None, score: Evaluation | None) -> CompareRow:
    ratio = row.ratio if row else None
    gap = score.difference if score else None
    scale, unit = (100.0, " %") if score and score.unit == "fraction" else (1.0, f" {score.unit}" if score else "")
    cells = (
        variant.name,
        row.device if row else "–",
        f"{row.summary.p50_ms:.3f} ms" if row else "–",
        f"{ratio.text} {ratio.verdict}" if ratio else ("baseline" if row else "–"),
        f"{row.summary.throughput_per_s:,.0f}/s" if row else "–",
        size(row.memory_bytes) if row and row.memory_bytes is not None else "–",
        size(variant.bytes),
        str(variant.nodes),
        f"{score.estimate.value * scale:.2f}{unit}" if score else "–",
        difference(gap, score.unit) if gap and score else "–",
    )
    keys = (
        variant.name,
        row.device if row else "",
        row.summary.p50_ms if row else float("inf"),
        ratio.ratio if ratio else 1.0,
        row.summary.throughput_per_s if row else 0.0,
        float(row.memory_bytes or 0) if row else 0.0,
        float(variant.bytes),
        float(variant.nodes),
        score.estimate.value if score else 0.0,
        gap.value if gap else 0.0,
    )
    return CompareRow(variant.id, cells, keys)


class CompareModel(QAbstractTableModel):
    """Rows of `CompareRow`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[CompareRow, ...] = ()

    def set_rows(self, rows: tuple[CompareRow, ...]) -> None:
        """Show other rows."""
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(HEADS)

    def headerData(  # noqa: D102
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return HEADS[section] if 0 <= section < len(HEADS) else None
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: D102
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.cells[index.column()]
        if role == Qt.ItemDataRole.UserRole:
            return row.keys[index.column()]
        return None


class CompareTab(QWidget):
    """A sortable table of all variants; a double click shows the variant."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model = CompareModel(self)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self._model)
        self._sorted.setSortRole(Qt.ItemDataRole.UserRole)
        self._view = QTableView()
        self._view.setModel(self._sorted)
        self._view.setItemDelegate(RowDelegate(self._view))
        self._view.setSortingEnabled(True)
        self._view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self._view.setShowGrid(False)
        self._view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self._view.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        self._view.verticalHeader().hide()
        self._view.setAccessibleName("All variants compared")
        self._view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self._view.horizontalHeader().setStretchLastSection(True)
        self._view.doubleClicked.connect(self._open)
        hint = QLabel(
            "A click on a head sorts; a double click shows the variant. Ratio: baseline latency over latency."
        )
        hint.setProperty("quiet", True)
        hint.setWordWrap(True)
        copy = QPushButton("Copy as CSV")
        copy.clicked.connect(lambda: QApplication.clipboard().setText(as_csv(self._model.rows)))
        top = QHBoxLayout()
        top.addWidget(hint, 1)
        top.addWidget(copy)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self._view, 1)
        controller.changed.connect(self._on_change)
        self._refresh()

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants", "measurements", "evaluations"):
            self._refresh()

    def _refresh(self) -> None:
        session = self._controller.session
        if not session.is_open:
            self._model.set_rows(())
            return
        variants, measured, scored = session.project.variants, session.measurements, session.evaluations
        self._controller.background.run(
            lambda: compare_rows(variants, latest_rows(measured), scored), self._model.set_rows
        )

    def _open(self, index: QModelIndex) -> None:
        self._controller.select(self._model.rows[self._sorted.mapToSource(index).row()].variant)


def as_csv(rows: tuple[CompareRow, ...]) -> str:
    """Write the table as CSV."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(HEADS)
    writer.writerows(row.cells for row in rows)
    return sink.getvalue()
