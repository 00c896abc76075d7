"""The reporter that a task is given in a worker: it writes messages to the pipe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from studio.core.errors import Cancelled
from studio.core.report import LogLevel
from studio.jobs.protocol import Log, Message, Progress, Samples

Send = Callable[[Message], None]

#: seconds between two progress messages: 20 a second is all that an eye or a terminal can use
INTERVAL = 0.05


class Throttle:
    """Lets a progress message through every `interval` seconds; the newest of those held back follows by itself.

    A task often reports a step and then spends a minute in native code: without the late delivery its
    caller would look at the step before for that minute.
    """

    def __init__(self, send: Send, interval: float = INTERVAL) -> None:
        self._send = send
        self._interval = interval
        self._changed = threading.Condition()
        self._next = 0.0
        self._pending: Progress | None = None
        self._thread: threading.Thread | None = None

    def offer(self, message: Progress) -> None:
        """Send the message now, or hold it back as the newest."""
        with self._changed:
            now = time.monotonic()
            self._pending = message
            if now >= self._next:
                self._release(now)
            elif self._thread is None:
                self._thread = threading.Thread(target=self._deliver_late, name="progress", daemon=True)
                self._thread.start()
            else:
                self._changed.notify()

    def flush(self) -> None:
        """Send what is held back; the end of a job calls it, so that its last progress always arrives."""
        with self._changed:
            if self._pending is not None:
                self._release(time.monotonic())

    def _release(self, now: float) -> None:
        message, self._pending = self._pending, None
        self._next = now + self._interval
        if message is not None:
            self._send(message)

    def _deliver_late(self) -> None:
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._pending is not None)
                self._changed.wait(max(0.0, self._next - time.monotonic()))
                if self._pending is not None and time.monotonic() >= self._next:
                    self._release(time.monotonic())


class WorkerReporter:
    """A `studio.core.report.Reporter` whose listener is in another process.

    Parameters
    ----------
    job
        The job that the messages belong to.
    send
        Writes one message to the pipe; safe to call from any thread.
    throttle
        Where progress goes.
    cancelled
        Set when the caller asked for the job to stop.
    """

    def __init__(self, job: str, send: Send, throttle: Throttle, cancelled: threading.Event) -> None:
        self._job = job
        self._send = send
        self._throttle = throttle
        self._cancelled = cancelled

    def progress(self, done: float, total: float, label: str = "") -> None:
        """Say how much of the work is done; at most 20 a second are sent, the last one always."""
        self._throttle.offer(Progress(self._job, float(done), float(total), str(label)))

    def samples(self, series: str, values: Sequence[int], info: Mapping[str, Any] | None = None) -> None:
        """Send raw samples (nanoseconds) of a named series; one message a call."""
        self._send(Samples(self._job, series, [int(value) for value in values], dict(info or {})))

    def log(self, text: str, level: LogLevel = "info") -> None:
        """Add a line to the job's log."""
        self._send(Log(self._job, level, str(text)))

    def check(self) -> None:
        """Raise `Cancelled` when the caller asked for the work to stop."""
        if self._cancelled.is_set():
            raise Cancelled
