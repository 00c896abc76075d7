"""A worker's place in the pool: what it does now, and when it is made to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from studio.jobs.job import Ticket
from studio.jobs.process import WorkerProcess
from studio.jobs.protocol import Cancel, ErrorInfo, encode

#: seconds that an idle worker may take to leave once its pipe is closed
_LEAVE = 1.0


@dataclass(frozen=True)
class CancelGrace:
    """Seconds between the rungs: after `ask` the worker is terminated, after `terminate` more it is killed."""

    ask: float = 3.0
    terminate: float = 2.0

    def shortened(self, most: float) -> CancelGrace:
        """Return the same with each rung at most `most` seconds."""
        return CancelGrace(min(self.ask, most), min(self.terminate, most))


class Ladder:
    """Things to do at given times, each once, in order.

    Parameters
    ----------
    rungs
        Time (monotonic seconds) and what to do then.
    """

    def __init__(self, *rungs: tuple[float, Callable[[], None]]) -> None:
        self._rungs = list(rungs)
        self.climbed = False

    @property
    def due(self) -> float | None:
        """When the next rung is due."""
        return self._rungs[0][0] if self._rungs else None

    def climb(self, now: float) -> None:
        """Do what is due."""
        while self._rungs and now >= self._rungs[0][0]:
            self.climbed = True
            self._rungs.pop(0)[1]()


@dataclass(eq=False)
class Seat:
    """A worker and its job.

    Parameters
    ----------
    ready
        It said hello.
    ticket
        The job it was given.
    begun
        It said that the job has started.
    since
        When it was given the job (monotonic seconds).
    used
        Resident memory in bytes when last looked at.
    verdict
        Why its job failed, when that is known before the worker is gone.
    served
        It was given a job before.
    leaving
        It gets no further job.
    ladder
        What ends it, and when.
    """

    worker: WorkerProcess
    ready: bool = False
    ticket: Ticket | None = None
    begun: bool = False
    since: float = 0.0
    used: int = 0
    verdict: ErrorInfo | None = None
    served: bool = False
    leaving: bool = False
    ladder: Ladder = field(default_factory=Ladder)

    @property
    def free(self) -> bool:
        """Whether it can be given a job."""
        return self.ticket is None and not self.leaving

    def assign(self, ticket: Ticket) -> None:
        """Give it a job."""
        ticket.state = "running"
        ticket.attempts += 1
        self.ticket, self.begun, self.since = ticket, False, time.monotonic()
        self.served = True
        self.worker.send(ticket.command)

    def clear(self) -> None:
        """Take the finished job away."""
        self.ticket = None
        if self.verdict or self.ladder.climbed:
            # Told to end just as it finished: it may die any moment, so it must not be given another job.
            self.leaving = True
            self.worker.kill()
        self.ladder = Ladder()

    def cancel(self, grace: CancelGrace) -> None:
        """Ask its job to stop, and set the times at which asking ends; again: set them anew."""
        if self.ticket is None:
            return
        if not self.ticket.cancelling:
            self.ticket.cancelling = True
            self.worker.send(encode(Cancel(self.ticket.id)))
        asked = time.monotonic() + grace.ask
        self.ladder = Ladder((asked, self.worker.terminate), (asked + grace.terminate, self.worker.kill))

    def retire(self) -> None:
        """Let an idle worker go."""
        if self.leaving:
            return
        self.leaving = True
        self.worker.retire()
        # One that still starts would finish that first.
        self.ladder = Ladder((time.monotonic() + (_LEAVE if self.ready else 0.0), self.worker.kill))

    def condemn(self, verdict: ErrorInfo) -> None:
        """End the worker now, and its job with this error."""
        self.verdict = verdict
        self.worker.kill()
