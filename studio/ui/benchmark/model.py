"""The table of figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from studio.core.statistics import P90_FLOOR, P99_FLOOR
from studio.ui.benchmark.rows import BenchRow
from studio.ui.text import size
from studio.ui.theme import Tokens

Index = QModelIndex | QPersistentModelIndex

HEADS = {
    "Model": "The variant that was measured",
    "Device": "Where it ran",
    "Ratio": "Baseline latency over this latency, measured in pairs; above 1 is faster. 95 % interval and verdict",
    "p50": "Median latency",
    "p90": f"90 of 100 inferences are faster; shown in full from {P90_FLOOR} samples",
    "p99": f"99 of 100 inferences are faster; shown in full from {P99_FLOOR} samples",
    "Samples": "Steady inferences behind the percentiles",
    "Load": "Time to load the model, in a process that ran nothing else",
    "First": "Time of the first inference",
    "Memory": "What loading and running added to resident memory at most",
    "Run": "What the noise guard says: stable, noisy (something disturbed samples that count), or cannot tell",
}
_TITLES = tuple(HEADS)


class BenchModel(QAbstractTableModel):
    """Rows of `BenchRow`; a percentile that the samples do not support is greyed."""

    def __init__(self, tokens: Tokens, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._rows: tuple[BenchRow, ...] = ()

    def set_rows(self, rows: Sequence[BenchRow]) -> None:
        """Show other rows."""
        self.beginResetModel()
        self._rows = tuple(rows)
        self.endResetModel()

    def set_tokens(self, tokens: Tokens) -> None:
        """Put on another theme."""
        self._tokens = tokens
        self.set_rows(self._rows)

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
        if role == Qt.ItemDataRole.ForegroundRole:
            color = self._color(row, title)
            return QColor(color) if color else None
        if role == Qt.ItemDataRole.ToolTipRole:
            if title == "Run" and row.stability is not None:
                return row.stability.text
            return "\n".join(row.notes) or HEADS[title]
        return None

    def _color(self, row: BenchRow, title: str) -> str:
        if (title == "p90" and not row.summary.p90_supported) or (title == "p99" and not row.summary.p99_supported):
            return self._tokens.disabled
        if title == "Ratio" and row.ratio is not None:
            colors = {"faster": self._tokens.good, "slower": self._tokens.bad}
            return colors.get(row.ratio.verdict, self._tokens.neutral)
        if title == "Run" and row.stability is not None and row.stability.verdict == "noisy":
            return self._tokens.warning
        return ""


def text(row: BenchRow, title: str) -> str:
    """Write one cell."""
    summary = row.summary
    cells = {
        "Model": row.name,
        "Device": row.device,
        "Ratio": _ratio(row),
        "p50": f"{summary.p50_ms:.3f} ms",
        "p90": f"{summary.p90_ms:.3f} ms",
        "p99": f"{summary.p99_ms:.3f} ms",
        "Samples": f"{summary.samples:,}",
        "Load": f"{row.load_ms:.0f} ms",
        "First": f"{row.first_ms:.1f} ms",
        "Memory": "–" if row.memory_bytes is None else size(row.memory_bytes),
        "Run": _run(row),
    }
    return cells[title]


def _ratio(row: BenchRow) -> str:
    if row.ratio is None:
        return "baseline"
    mark = {"faster": "▲", "slower": "▼"}.get(row.ratio.verdict, "=")
    return f"{mark} {row.ratio.text} {row.ratio.verdict}"


def _run(row: BenchRow) -> str:
    verdict = row.stability.verdict if row.stability is not None else "–"
    return f"{verdict}, {row.runs} runs" if row.runs > 1 else verdict
