"""The jobs as a table model: what runs, what waits, and how the last ones ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from studio.jobs.job import Job
from studio.jobs.protocol import ErrorInfo, Finished, JobEvent, Progress
from studio.ui.text import duration
from studio.ui.theme import Tokens

Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("Job", "Progress", "Time", "State")
NAME, PROGRESS, LEFT, STATE = range(4)
#: share done, 0 to 1; -1 while unknown; None when the job does not run
SHARE_ROLE = Qt.ItemDataRole.UserRole
KEPT = 40
#: share done from which an estimate of the time left is worth showing
_ENOUGH = 0.03


@dataclass
class Row:
    """One job as it is shown."""

    id: str
    label: str
    state: str = "queued"
    done: float = 0.0
    total: float = 0.0
    says: str = ""
    began: float = 0.0
    seconds: float = 0.0
    error: ErrorInfo | None = None

    @property
    def active(self) -> bool:
        """Whether it can be cancelled."""
        return self.state in ("queued", "running")


class JobsModel(QAbstractTableModel):
    """Rows of jobs, the newest first.

    Parameters
    ----------
    clock
        Gives seconds; for tests.
    """

    def __init__(
        self, tokens: Tokens, parent: QObject | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._clock = clock
        self._rows: list[Row] = []

    @property
    def active(self) -> list[Row]:
        """The jobs that run or wait."""
        return [row for row in self._rows if row.active]

    def row(self, index: Index) -> Row | None:
        """Give the job of a row."""
        return self._rows[index.row()] if index.isValid() else None

    def set_tokens(self, tokens: Tokens) -> None:
        """Use another theme's colours."""
        self._tokens = tokens
        self._redraw_all()

    def sync(self, jobs: Sequence[Job]) -> None:
        """Take in jobs that are new in the pool."""
        known = {row.id for row in self._rows}
        for job in jobs:
            if job.id not in known:
                self._insert(Row(job.id, job.label))

    def take(self, event: JobEvent) -> None:
        """Take in an event of a job."""
        number = next((at for at, row in enumerate(self._rows) if row.id == event.job), None)
        if number is None:
            self._insert(Row(event.job, event.job))
            number = 0
        row = self._rows[number]
        if row.state == "queued":
            row.state, row.began = "running", self._clock()
        if isinstance(event, Progress):
            row.done, row.total, row.says = event.done, event.total, event.label
        elif isinstance(event, Finished):
            row.state, row.seconds, row.error = event.status, event.seconds, event.error
        self.dataChanged.emit(self.index(number, 0), self.index(number, len(COLUMNS) - 1))

    def tick(self) -> None:
        """Let the times move on."""
        if self.active:
            self._redraw_all()

    def clear_finished(self) -> None:
        """Forget the jobs that are over."""
        self.beginResetModel()
        self._rows = self.active
        self.endResetModel()

    # the model's contract

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(  # noqa: D102
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: D102
        row = self.row(index)
        if row is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{row.error.message}\n{row.error.hint}".strip() if row.error else row.label
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._color(row)
        return _share(row) if role == SHARE_ROLE else None

    def _text(self, row: Row, column: int) -> str:
        if column == NAME:
            return row.label
        if column == PROGRESS:
            return row.says if row.state == "running" else ""
        if column == LEFT:
            return self._time(row)
        if row.error is not None:
            return f"failed: {row.error.message} {row.error.hint}".strip()
        return row.state

    def _time(self, row: Row) -> str:
        if row.state == "queued":
            return ""
        if row.state != "running":
            return f"took {duration(row.seconds)}" if row.seconds >= 1 else f"took {1000 * row.seconds:.0f} ms"
        passed, share = self._clock() - row.began, _share(row) or 0.0
        if share >= _ENOUGH and passed > 1:
            return f"{duration(passed * (1 - share) / share)} left"
        return f"{duration(passed)} so far"

    def _color(self, row: Row) -> QColor | None:
        if row.state == "failed":
            return QColor(self._tokens.bad)
        return None if row.active else QColor(self._tokens.dim)

    def _insert(self, row: Row) -> None:
        self.beginInsertRows(QModelIndex(), 0, 0)
        self._rows.insert(0, row)
        self.endInsertRows()
        if len(self._rows) > KEPT and not self._rows[-1].active:
            last = len(self._rows) - 1
            self.beginRemoveRows(QModelIndex(), last, last)
            self._rows.pop()
            self.endRemoveRows()

    def _redraw_all(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(COLUMNS) - 1))


def _share(row: Row) -> float | None:
    if row.state != "running":
        return None
    return min(1.0, row.done / row.total) if row.total > 0 else -1.0
