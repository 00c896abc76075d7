"""A sortable table of figures, each row standing for something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from studio.ui.build import named
from studio.ui.rows import RowDelegate

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Row:
    """What is shown in each column, by what it is sorted, what is explained, and what it stands for."""

    cells: tuple[str, ...]
    keys: tuple[float | str, ...]
    tip: str = ""
    subject: Any = field(default=None, compare=False)


class RowsModel(QAbstractTableModel):
    """Rows under heads, with a tooltip for each head."""

    def __init__(self, heads: Sequence[tuple[str, str]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._heads = tuple(heads)
        self.rows: tuple[Row, ...] = ()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show other rows."""
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(self._heads)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: D102
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.cells[index.column()]
        if role == Qt.ItemDataRole.UserRole:
            return row.keys[index.column()]
        return row.tip or None if role == Qt.ItemDataRole.ToolTipRole else None

    def headerData(  # noqa: D102
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self._heads):
            return None
        title, tip = self._heads[section]
        return {Qt.ItemDataRole.DisplayRole: title, Qt.ItemDataRole.ToolTipRole: tip}.get(Qt.ItemDataRole(role))


class RowsTable(QTableView):
    """Shows a `RowsModel`; whole rows are chosen, one at a time."""

    def __init__(self, name: str, heads: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        named(self, name)
        self.rows = RowsModel(heads, self)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self.rows)
        self._sorted.setSortRole(Qt.ItemDataRole.UserRole)
        self.setModel(self._sorted)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setItemDelegate(RowDelegate(self))
        self.setShowGrid(False)
        self.setFrameShape(QTableView.Shape.NoFrame)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show other rows, in their order until a head is clicked."""
        self.rows.set_rows(rows)
        if len(rows) <= 200:  # measuring texts of many rows takes long
            self.resizeColumnsToContents()

    @property
    def chosen(self) -> Row | None:
        """The chosen row."""
        index = self._sorted.mapToSource(self.currentIndex())
        return self.rows.rows[index.row()] if index.isValid() else None

    def choose(self, row: int) -> None:
        """Choose a row as it is sorted now."""
        self.setCurrentIndex(self._sorted.index(row, 0))
