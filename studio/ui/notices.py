"""Tells that long work has ended when the user is elsewhere: a message of the desktop, or the task bar."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

from studio.ui.controller import Controller
from studio.ui.preferences import Preferences
from studio.ui.translate import tr

#: seconds from which work counts as long
LONG_S = 10.0


class Notices(QObject):
    """Watches the work of one window.

    Parameters
    ----------
    window
        Flashed in the task bar; its `preferences` say whether to tell at all.
    """

    def __init__(self, controller: Controller, window: QWidget, preferences: Preferences) -> None:
        super().__init__(window)
        self._window = window
        self._preferences = preferences
        self._since: dict[str, float] = {}
        self._tray: QSystemTrayIcon | None = None
        #: what was told last
        self.told = ""
        controller.busy.connect(self._on_busy)

    def tell(self, text: str) -> None:
        """Tell it outside the window."""
        self.told = text
        QApplication.alert(self._window)
        if QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages():
            if self._tray is None:
                self._tray = QSystemTrayIcon(self._window.windowIcon(), self)
                self._tray.messageClicked.connect(self._window.activateWindow)
            self._tray.show()
            self._tray.showMessage(tr("Burnish"), text)

    def _on_busy(self, kind: str, busy: bool) -> None:
        if busy:
            self._since[kind] = time.monotonic()
            return
        took = time.monotonic() - self._since.pop(kind, time.monotonic())
        if took >= LONG_S and self._preferences.notify and not self._window.isActiveWindow():
            self.tell(_ended(kind))


def _ended(kind: str) -> str:
    """Say what has ended."""
    return {
        "open": tr("The model is open."),
        "apply": tr("The recipe was applied."),
        "measure": tr("The benchmark has ended."),
        "evaluate": tr("The evaluation has ended."),
        "export": tr("The export has ended."),
    }.get(kind, tr("The work has ended."))
