"""The table of layers."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from studio.core.layertable import LayerRow, LayerTable
from studio.ui.theme import Tokens

Index = QModelIndex | QPersistentModelIndex
SORT = Qt.ItemDataRole.UserRole

HEADS = {
    "Layer": "What is executed, the node of the source or the block",
    "Operator": "Operator of the first kernel",
    "Before": "Time of one inference, counters on",
    "After": "Time of one inference, counters on",
    "Gain": "Before less after; negative: slower",
    "Share": "Part of the whole gain (clean latencies) that it explains; of the time where one model is shown",
    "Kernel before": "The implementation that ran",
    "Kernel after": "The implementation that ran",
    "Precision": "Element types that it computes in: before, after",
}
_TITLES = tuple(HEADS)
#: the last row of the table: what no layer explains
REST = "unexplained: between kernels, and what counting costs"


class LayersModel(QAbstractTableModel):
    """Rows of a `LayerTable`, and a last one for the rest."""

    def __init__(self, tokens: Tokens, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._table: LayerTable | None = None
        self._rows: tuple[LayerRow, ...] = ()

    def set_table(self, table: LayerTable | None) -> None:
        """Show another table."""
        self.beginResetModel()
        self._table = table
        self._rows = (*table.rows, rest_row(table)) if table is not None else ()
        self.endResetModel()

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self._tokens = tokens
        self.set_table(self._table)

    def row(self, number: int) -> LayerRow:
        """Give a row."""
        return self._rows[number]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(_TITLES)

    def headerData(  # noqa: D102
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and 0 <= section < len(_TITLES):
            if role == Qt.ItemDataRole.DisplayRole:
                return _TITLES[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return HEADS[_TITLES[section]]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: D102
        if not index.isValid():
            return None
        row, title = self._rows[index.row()], _TITLES[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return text(row, title)
        if role == SORT:
            return _key(row, title)
        if role == Qt.ItemDataRole.TextAlignmentRole and title in ("Before", "After", "Gain", "Share"):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ForegroundRole and title == "Gain" and row.gain_ms:
            return QColor(self._tokens.good if row.gain_ms > 0 else self._tokens.bad)
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join((row.title, *row.nodes[:12]))
        return None


def rest_row(table: LayerTable) -> LayerRow:
    """Write the rest as a row, so that columns add up to the clean latencies."""
    return LayerRow(
        title=REST,
        operator="",
        before_ms=table.rest_before_ms,
        after_ms=table.rest_after_ms,
        share=table.rest_share,
    )


def text(row: LayerRow, title: str) -> str:
    """Write one cell."""
    cells = {
        "Layer": row.title,
        "Operator": row.operator,
        "Before": f"{row.before_ms:.3f} ms",
        "After": "" if row.after_ms is None else f"{row.after_ms:.3f} ms",
        "Gain": "" if row.gain_ms is None else f"{row.gain_ms:+.3f} ms",
        "Share": "" if row.share is None else f"{100 * row.share:.1f} %",
        "Kernel before": row.kernels[0],
        "Kernel after": row.kernels[1],
        "Precision": " → ".join(dict.fromkeys(filter(None, row.precisions))),
    }
    return cells[title]


def _key(row: LayerRow, title: str) -> float | str:
    numbers = {"Before": row.before_ms, "After": row.after_ms, "Gain": row.gain_ms, "Share": row.share}
    return (numbers[title] or 0.0) if title in numbers else text(row, title)
