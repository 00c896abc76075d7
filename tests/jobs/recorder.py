"""A callback that tests can wait on: no test sleeps."""

from __future__ import annotations

import threading
from typing import TypeVar

from studio.jobs.protocol import Finished, JobEvent, Log, Progress, Samples, Started

Event = TypeVar("Event", Started, Progress, Samples, Log, Finished)

#: seconds after which a test gives up; never reached by a test that passes
PATIENCE = 20.0


class Recorder:
    """Keeps a job's events in the order in which they came."""

    def __init__(self) -> None:
        self.events: list[JobEvent] = []
        self._changed = threading.Condition()

    def __call__(self, event: JobEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def of(self, kind: type[Event]) -> list[Event]:
        """Give the events of one kind so far."""
        with self._changed:
            return [event for event in self.events if isinstance(event, kind)]

    def wait_for_log(self) -> str:
        """Wait for the first line of the job's own log: the task is where it wanted to be."""

        def own() -> list[str]:
            return [event.text for event in self.events if isinstance(event, Log) and event.level != "debug"]

        with self._changed:
            assert self._changed.wait_for(own, PATIENCE), self.events
            return own()[0]

    def wait_for_progress(self, count: int) -> list[Progress]:
        """Wait for so many progress events."""

        def seen() -> list[Progress]:
            return [event for event in self.events if isinstance(event, Progress)]

        with self._changed:
            assert self._changed.wait_for(lambda: len(seen()) >= count, PATIENCE), self.events
            return seen()
