"""Autosave: what a crash would cost is written down after each change, and forgotten when the window closes well."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer

from studio.core.errors import StoreError
from studio.core.recovery import Recovery
from studio.ui.controller import Controller
from studio.ui.edits import Edits

_TOPICS = ("project", "variants", "measurements", "evaluations")
#: milliseconds without a change after which it is written
PAUSE_MS = 500


class Autosave(QObject):
    """Keeps one window's document safe.

    Parameters
    ----------
    recovery
        Where it is kept.
    """

    def __init__(self, controller: Controller, edits: Edits, recovery: Recovery) -> None:
        super().__init__(controller)
        self._session = controller.session
        self._edits = edits
        self._recovery = recovery
        self._timer = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._timer.timeout.connect(lambda: edits.add(self._keep))
        controller.changed.connect(self._on_change)

    def close(self) -> None:
        """Forget what was kept: nothing is left to rescue."""
        self._timer.stop()
        self._edits.add(self._recovery.discard)

    def _on_change(self, topic: str) -> None:
        if topic in _TOPICS and not self._timer.isActive():
            self._timer.start()

    def _keep(self) -> None:
        session = self._session
        if not session.is_open:
            return
        try:
            self._recovery.keep(session.kept(), session.measurements, session.evaluations)
        except StoreError as error:
            raise StoreError(f"The work cannot be kept safe from a crash: {error.message}", error.hint) from error
