"""Work on the GUI thread in small turns, so that it never stands still for long; and its garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QWidget

_COLLECT_MS = 2000


def in_turns(owner: QObject, steps: Iterator[object]) -> None:
    """Take one step for each turn of the event loop, until there are none or the owner is gone."""

    def turn() -> None:
        try:
            next(steps)
        except StopIteration:
            return
        QTimer.singleShot(0, owner, turn)

    turn()


def polish(parent: QWidget) -> Iterator[None]:
    """Style widgets before they are shown, a few at a time: all at once would take 150 ms."""
    for number, widget in enumerate(parent.findChildren(QWidget)):
        widget.ensurePolished()
        if number % 8 == 7:
            yield


class Collector(QObject):
    """Collects cyclic garbage on the GUI thread only.

    Python collects on whichever thread allocates; a widget that dies on another thread than its own
    takes the process with it.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._limits = gc.get_threshold()
        self._timer = QTimer(self, interval=_COLLECT_MS)
        self._timer.timeout.connect(self._collect)
        gc.disable()
        self._timer.start()

    def close(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        gc.enable()

    def _collect(self) -> None:
        for generation in (1, 0):
            if gc.get_count()[generation] > self._limits[generation]:
                gc.collect(generation)
                return
