"""The trials as a table."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont

from studio.analysis.automatic import AutoResult
from studio.core.search.trial import Trial
from studio.ui.text import size
from studio.ui.theme import Tokens

Index = QModelIndex | QPersistentModelIndex
HEADS = ("Recipe", "Speed-up", "Points lost", "Size", "Result")
TIPS = (
    "What was switched on, in this order; 'Edit its recipe' shows all of it",
    "Latency of the baseline over that of the variant, measured in pairs (95 % interval)",
    "What the metric lost against the baseline on the same samples (95 % interval); less than 0 is a gain",
    "Bytes of the model on disk",
    "Whether it stays inside the budget, or why it was not measured",
)


class TrialsModel(QAbstractTableModel):
    """One row for each trial, and one for what is tried now."""

    def __init__(self, tokens: Tokens, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._result: AutoResult | None = None
        self._rows: tuple[tuple[str, ...], ...] = ()

    def set_result(self, result: AutoResult | None) -> None:
        """Show another state of the search."""
        self.beginResetModel()
        self._result = result
        self._rows = tuple(_cells(trial, result) for trial in result.trials) if result is not None else ()
        if result is not None and result.trying and not result.ended:
            self._rows = (*self._rows, (result.trying, "…", "…", "…", "trying now"))
        self.endResetModel()

    def set_tokens(self, tokens: Tokens) -> None:
        """Use another theme's colours."""
        self._tokens = tokens

    def trial(self, index: Index) -> Trial | None:
        """Give the trial of a row; None for what is tried now."""
        if self._result is None or not index.isValid() or index.row() >= len(self._result.trials):
            return None
        return self._result.trials[index.row()]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(HEADS)

    def headerData(  # noqa: D102
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and 0 <= section < len(HEADS):
            texts = {Qt.ItemDataRole.DisplayRole: HEADS, Qt.ItemDataRole.ToolTipRole: TIPS}
            return texts[Qt.ItemDataRole(role)][section] if role in texts else None
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: D102
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        trial = self.trial(index)
        if role == Qt.ItemDataRole.DisplayRole:
            return self._rows[index.row()][index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return (trial.why or self._rows[index.row()][index.column()]) if trial is not None else None
        best = trial is not None and self._result is not None and trial.name == self._result.choice.name
        if role == Qt.ItemDataRole.FontRole and best:
            font = QFont()
            font.setBold(True)
            return font
        if role == Qt.ItemDataRole.ForegroundRole and trial is not None:
            return QColor(self._color(trial, best)) if index.column() == len(HEADS) - 1 else None
        return None

    def _color(self, trial: Trial, best: bool) -> str:
        tokens = self._tokens
        return tokens.good if best else tokens.bad if trial.state == "failed" else tokens.dim


def _cells(trial: Trial, result: AutoResult) -> tuple[str, ...]:
    loss = trial.loss
    place = "inside the budget" if trial.inside else "outside the budget"
    state = "proposed" if trial.name == result.choice.name else trial.why or place
    return (
        trial.name,
        trial.speed.text if trial.speed is not None else "–",
        f"{loss.points:+.2f} ({loss.low:+.2f} to {loss.high:+.2f})" if loss is not None else "–",
        size(trial.bytes) if trial.bytes else "–",
        state,
    )
