"""A button that opens a list of check boxes: choosing any set of variants or devices in little room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

KEY = Qt.ItemDataRole.UserRole


class CheckList(QToolButton):
    """Shows how many are chosen; `changed` follows each choice of the user.

    Parameters
    ----------
    what
        What is chosen, in the plural: ``"Variants"``.
    """

    changed = Signal()

    def __init__(self, what: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._what = what
        self._keys: tuple[str, ...] = ()
        self.setAccessibleName(what)
        self.setToolTip(tip)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.list = QListWidget()
        self.list.setAccessibleName(what)
        self.list.setMinimumSize(260, 160)
        self.list.itemChanged.connect(self._on_changed)
        menu = QMenu(self)
        action = QWidgetAction(menu)
        action.setDefaultWidget(self._popup())
        menu.addAction(action)
        self.setMenu(menu)
        self._write()

    def set_items(self, items: Sequence[tuple[str, str]], checked: Iterable[str]) -> None:
        """Show other entries, each a key and a text."""
        wanted = set(checked)
        with QSignalBlocker(self.list):
            self.list.clear()
            for key, text in items:
                item = QListWidgetItem(text, self.list)
                item.setData(KEY, key)
                item.setFlags(
                    Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsSelectable
                )
                item.setCheckState(Qt.CheckState.Checked if key in wanted else Qt.CheckState.Unchecked)
        self._write()

    @property
    def chosen(self) -> list[str]:
        """The keys that are checked, in order."""
        items = (self.list.item(index) for index in range(self.list.count()))
        return [str(item.data(KEY)) for item in items if item.checkState() == Qt.CheckState.Checked]

    @property
    def keys(self) -> list[str]:
        """All keys in order."""
        return [str(self.list.item(index).data(KEY)) for index in range(self.list.count())]

    def choose(self, keys: Iterable[str]) -> None:
        """Check these and no others; `changed` is not emitted."""
        wanted = set(keys)
        with QSignalBlocker(self.list):
            for index in range(self.list.count()):
                item = self.list.item(index)
                on = item.data(KEY) in wanted
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self._write()

    def _popup(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(6, 6, 6, 6)
        row = QHBoxLayout()
        for text, every in (("All", True), ("None", False)):
            button = QPushButton(text)
            button.setToolTip(f"Check {text.lower()} of the {self._what.lower()}")
            button.clicked.connect(lambda _=False, every=every: self._choose_all(every=every))
            row.addWidget(button)
        row.addStretch(1)
        layout.addLayout(row)
        layout.addWidget(self.list)
        return page

    def _choose_all(self, *, every: bool) -> None:
        self.choose(self.keys if every else ())
        self.changed.emit()

    def _on_changed(self) -> None:
        self._write()
        self.changed.emit()

    def _write(self) -> None:
        self.setText(f"{self._what}: {len(self.chosen)} of {self.list.count()}")
