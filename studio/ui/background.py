"""Work off the GUI thread: blocking calls run on threads, their results come back as queued signals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from studio.core.errors import BurnishError, Cancelled, JobError


class Background(QObject):
    """Runs calls on threads of their own, and delivers what they give on the GUI thread.

    Calls made through `serial` run one after another: they edit one document.
    """

    _deliver = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._serial = threading.Lock()
        self._closing = False
        self._deliver.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None] | None = None,
        failed: Callable[[BurnishError], None] | None = None,
        stopped: Callable[[], None] | None = None,
    ) -> None:
        """Start a call; exactly one of the callbacks follows on the GUI thread."""
        threading.Thread(
            target=self._work, args=(work, done, failed, stopped), name="burnish-background", daemon=True
        ).start()

    def serial(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None] | None = None,
        failed: Callable[[BurnishError], None] | None = None,
        stopped: Callable[[], None] | None = None,
    ) -> None:
        """Start a call that waits for the serial calls before it."""

        def in_turn() -> Any:
            with self._serial:
                return work()

        self.run(in_turn, done, failed, stopped)

    def post(self, call: Callable[[], None]) -> None:
        """Run a call on the GUI thread soon; may be called from any thread."""
        if not self._closing:
            self._deliver.emit(call)

    def close(self) -> None:
        """Deliver nothing more; threads end when their jobs do."""
        self._closing = True

    def _work(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None] | None,
        failed: Callable[[BurnishError], None] | None,
        stopped: Callable[[], None] | None,
    ) -> None:
        try:
            result = work()
        except Cancelled:
            if stopped is not None:
                self.post(stopped)
        except BurnishError as error:
            self._fail(failed, error)
        except Exception as error:
            self._fail(failed, JobError(f"Unexpected {type(error).__name__}: {error}.", "Look at the log."))
        else:
            if done is not None:
                self.post(lambda: done(result))

    def _fail(self, failed: Callable[[BurnishError], None] | None, error: BurnishError) -> None:
        if failed is not None:
            self.post(lambda: failed(error))

    def _call(self, call: Callable[[], None]) -> None:
        if not self._closing:
            call()
