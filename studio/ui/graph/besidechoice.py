"""The list that says which graph is shown beside the other one."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QWidget

from studio.ui.build import named
from studio.ui.controller import Controller

_FILE = "\0file"


class BesideChoice(QComboBox):
    """Nothing, a variant, or a model from a file."""

    variant_asked = Signal(str)
    file_asked = Signal()

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._file = ""
        named(
            self,
            "Side by side with",
            "Show a second graph beside this one, scrolled and selected together, with what differs marked",
        )
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(14)
        self.activated.connect(self._on_choice)
        controller.changed.connect(self._on_change)
        self._fill("")

    def set_variant(self, variant: str) -> None:
        """Show which variant is beside; empty for none, or for a file that `set_file` named."""
        self._fill(variant)

    def set_file(self, name: str) -> None:
        """Show that a model from a file is beside."""
        self._file = name

    def _fill(self, variant: str) -> None:
        session = self._controller.session
        with QSignalBlocker(self):
            self.clear()
            self.addItem("Side by side: off", "")
            for known in session.project.variants if session.is_open else ():
                self.addItem(f"Beside: {known.name}", known.id)
            if self._file:
                self.addItem(f"Beside: {self._file}", _FILE)
            self.addItem("Open model…", _FILE + "?")
            wanted = self.findData(variant or (_FILE if self._file else ""))
            self.setCurrentIndex(max(0, wanted))

    def _on_choice(self, row: int) -> None:
        data = str(self.itemData(row))
        if data == _FILE + "?":
            self.file_asked.emit()
        elif data != _FILE:
            self._file = ""
            self.variant_asked.emit(data)

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants"):
            self._fill(str(self.currentData() or "").replace(_FILE, ""))
