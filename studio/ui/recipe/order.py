"""The order of the steps that are switched on: by drag, or by Alt+Up and Alt+Down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

from studio.ui.build import column, named, row, tool, words
from studio.ui.icons import icon
from studio.ui.rows import RowDelegate
from studio.ui.theme import Tokens

_MOST_ROWS = 7


class StepOrder(QWidget):
    """Lists the steps; `reordered` gives the pass ids in their new order."""

    reordered = Signal(list)

    def __init__(self, tokens: Tokens, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self.list = named(QListWidget(), "Order of the steps")
        self.list.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.list.setItemDelegate(RowDelegate(self.list))
        self.list.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setToolTip("Steps are applied from top to bottom; drag them, or press Alt+Up and Alt+Down")
        self.list.installEventFilter(self)
        self.list.model().rowsMoved.connect(self._tell)
        self.list.currentRowChanged.connect(self._enable)
        self._empty = words("Switch passes on below; they are applied in the order shown here.")
        self._up = tool("Move the step earlier", "Earlier (Alt+Up)")
        self._down = tool("Move the step later", "Later (Alt+Down)")
        self._up.clicked.connect(lambda: self.move_current(-1))
        self._down.clicked.connect(lambda: self.move_current(1))
        self._lay_out()
        self.set_tokens(tokens)
        self.set_steps((), {}, {})

    @property
    def order(self) -> list[str]:
        """The pass ids from top to bottom."""
        return [self.list.item(row).data(Qt.ItemDataRole.UserRole) for row in range(self.list.count())]

    def set_steps(self, ids: Sequence[str], titles: Mapping[str, str], refused: Mapping[str, str]) -> None:
        """Show these steps; one that may not stand where it does is marked with its reason."""
        current = self.list.currentItem()
        chosen = current.data(Qt.ItemDataRole.UserRole) if current else None
        self.list.clear()
        for number, name in enumerate(ids, start=1):
            mark = "⚠ " if name in refused else ""
            item = QListWidgetItem(f"{number}  {mark}{titles.get(name, name)}")
            item.setData(Qt.ItemDataRole.UserRole, name)
            if name in refused:
                item.setToolTip(refused[name])
                item.setForeground(QColor(self._tokens.bad))
            self.list.addItem(item)
            if name == chosen:
                self.list.setCurrentItem(item)
        self._empty.setVisible(not ids)
        for widget in (self.list, self._up, self._down):
            widget.setVisible(bool(ids))
        rows = min(max(len(ids), 1), _MOST_ROWS)
        height = self.list.sizeHintForRow(0) if ids else self.fontMetrics().height()
        self.list.setFixedHeight(rows * max(height, self.fontMetrics().height()) + 2 * self.list.frameWidth() + 2)
        self._enable()

    def move_current(self, by: int) -> None:
        """Move the chosen step."""
        row = self.list.currentRow()
        if row >= 0 and 0 <= row + by < self.list.count():
            order = self.order
            order.insert(row + by, order.pop(row))
            self.list.setCurrentRow(row)
            self.reordered.emit(order)

    def set_tokens(self, tokens: Tokens) -> None:
        """Colour the icons."""
        self._tokens = tokens
        self._up.setIcon(icon("chevron-up", tokens))
        self._down.setIcon(icon("chevron-down", tokens))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: D102
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
            if event.modifiers() & Qt.KeyboardModifier.AltModifier and event.key() in steps:
                self.move_current(steps[Qt.Key(event.key())])
                return True
        return super().eventFilter(watched, event)

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(200, super().sizeHint().height())

    def _tell(self) -> None:
        self.reordered.emit(self.order)

    def _enable(self) -> None:
        row = self.list.currentRow()
        self._up.setEnabled(row > 0)
        self._down.setEnabled(0 <= row < self.list.count() - 1)

    def _lay_out(self) -> None:
        buttons = column(spacing=0)
        buttons.addWidget(self._up)
        buttons.addWidget(self._down)
        buttons.addStretch(1)
        whole = row(self, spacing=2)
        whole.addWidget(self._empty, 1)
        whole.addWidget(self.list, 1)
        whole.addLayout(buttons)
