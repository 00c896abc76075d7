"""Edits of the document: off the GUI thread, since they are saved, and in the order in which they were made."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from studio.core.errors import BurnishError
from studio.ui.controller import Controller

_Call = Callable[[], Any]


class Edits:
    """Runs short session calls one after another on one thread; failures go to `controller.failed`."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._calls: queue.SimpleQueue[tuple[_Call, _Call | None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="burnish-edits", daemon=True)
        self._thread.start()

    def add(self, call: _Call, done: _Call | None = None) -> None:
        """Queue a call; `done` follows on the GUI thread whether it worked or not."""
        self._calls.put((call, done))

    def close(self) -> None:
        """End the thread when what was queued is done."""
        self._calls.put(None)

    def wait(self, seconds: float) -> None:
        """Wait, on another thread than the GUI's, until the thread has ended; `close` comes first."""
        self._thread.join(seconds)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, done = item
            try:
                call()
            except BurnishError as error:
                self._report(error)
            if done is not None:
                self._controller.background.post(done)

    def _report(self, error: BurnishError) -> None:
        self._controller.background.post(lambda: self._controller.failed.emit(error))
