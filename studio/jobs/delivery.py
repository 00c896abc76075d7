"""One thread that calls the callbacks of all jobs, so that a slow or broken one holds up no worker."""

from __future__ import annotations

import logging
import queue
import threading
import time

from studio.jobs.job import Ticket
from studio.jobs.protocol import Finished, JobEvent

#: events that may wait for their callbacks before the workers' readers wait too
_BACKLOG = 10_000

_log = logging.getLogger("burnish.jobs")


class Delivery:
    """Delivers events in the order in which they were posted."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Ticket, JobEvent] | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._deliver, name="job events", daemon=True)
        self._thread.start()

    @property
    def thread(self) -> int:
        """Ident of the thread that calls the callbacks."""
        return self._thread.ident or 0

    def post(self, ticket: Ticket, event: JobEvent) -> None:
        """Deliver an event soon; never waits."""
        self._queue.put((ticket, event))

    def make_room(self) -> None:
        """Wait while too much is undelivered.

        A library that prints without end must fill the pipe, not this process's memory.
        """
        while self._queue.qsize() > _BACKLOG and not self._closing:
            time.sleep(0.005)

    def close(self, timeout: float) -> None:
        """Deliver what was posted, then end; waits `timeout` seconds at most, and not in a callback."""
        self.stop_waiting()
        self._queue.put(None)
        if threading.get_ident() != self.thread:
            self._thread.join(timeout)

    def stop_waiting(self) -> None:
        """Let nobody wait in `make_room` any longer."""
        self._closing = True

    def _deliver(self) -> None:
        while (item := self._queue.get()) is not None:
            ticket, event = item
            if isinstance(event, Finished):
                ticket.finished, ticket.state = event, event.status
                ticket.command = b""  # may be megabytes, and owners keep their jobs
            if ticket.on_event:
                try:
                    ticket.on_event(event)
                except BaseException:  # the thread serves all jobs: it survives whatever a callback does
                    _log.exception("the callback of job %s failed", ticket.id)
            if isinstance(event, Finished):
                ticket.over.set()
