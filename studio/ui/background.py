"""Work off the GUI thread: blocking calls run on threads, their results come back as queued signals."""

from __future__ import annotations

import queue
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
        #: a thread starts the others: starting waits until the new one runs, and the GUI thread must not
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._start_threads, name="burnish-starter", daemon=True).start()
        self._deliver.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None] | None = None,
        failed: Callable[[BurnishError], None] | None = None,
        stopped: Callable[[], None] | None = None,
    ) -> None:
        """Start a call; exactly one of the callbacks follows on the GUI thread."""
        self._calls.put(lambda: self._work(work, done, failed, stopped))

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
        self._calls.put(None)

    def _start_threads(self) -> None:
        while (call := self._calls.get()) is not None:
            threading.Thread(target=call, name="burnish-background", daemon=True).start()

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
