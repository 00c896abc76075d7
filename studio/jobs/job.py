"""A job: what its owner holds while it is queued, running or over."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from studio.core.errors import Cancelled, JobError
from studio.jobs.protocol import Finished, JobEvent

State = Literal["queued", "running", "completed", "cancelled", "failed"]
OnEvent = Callable[[JobEvent], None]


@dataclass(eq=False)
class Ticket:
    """All that the pool knows about a job; `Job` is the owner's view of it.

    Parameters
    ----------
    command
        The encoded `Run` message.
    deliverer
        Ident of the thread that calls `on_event`.
    exclusive, fresh, partial, memory_bytes, on_event
        See `studio.jobs.pool.JobPool.submit`.
    attempts
        How many workers were given the job.
    """

    id: str
    label: str
    step: str
    command: bytes
    deliverer: int
    exclusive: bool = False
    fresh: bool = False
    partial: bool = False
    memory_bytes: int = 0
    on_event: OnEvent | None = None
    state: State = "queued"
    cancelling: bool = False
    attempts: int = 0
    finished: Finished | None = None
    over: threading.Event = field(default_factory=threading.Event)


class Job:
    """A job that was submitted to a pool.

    Parameters
    ----------
    ticket
        The pool's record of it.
    cancel
        Asks the pool to cancel it.
    """

    def __init__(self, ticket: Ticket, cancel: Callable[[], None]) -> None:
        self._ticket = ticket
        self._cancel = cancel

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other._ticket is self._ticket

    def __hash__(self) -> int:
        return hash(self._ticket)

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.label!r} {self.state}>"

    @property
    def id(self) -> str:
        """Name in messages, unique in the pool."""
        return self._ticket.id

    @property
    def label(self) -> str:
        """What a person reads."""
        return self._ticket.label

    @property
    def step(self) -> str:
        """What errors say the job was doing."""
        return self._ticket.step

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._ticket.state

    def cancel(self) -> None:
        """Ask it to stop; returns at once. A queued job is over, a running one is asked, then made to."""
        self._cancel()

    def wait(self, timeout: float | None = None) -> Finished | None:
        """Wait until the job is over and its last event was delivered.

        Parameters
        ----------
        timeout
            Seconds; None waits for ever.

        Returns
        -------
        Finished or None
            None when the time was up.

        Raises
        ------
        JobError
            Called in an `on_event` callback, which would wait for itself.
        """
        ticket = self._ticket
        if threading.get_ident() == ticket.deliverer:
            if ticket.finished is None:
                raise JobError("A callback cannot wait for a job.", "Wait in another thread.")
            return ticket.finished
        if timeout is None and sys.platform == "win32":
            # A wait without end cannot be interrupted by Ctrl-C there.
            while not ticket.over.wait(0.2):
                pass
        else:
            ticket.over.wait(timeout)
        return ticket.finished if ticket.over.is_set() else None

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait for the job and return what its task returned.

        Raises
        ------
        Cancelled
            It was cancelled, and has no partial result (see `JobPool.submit`).
        BurnishError
            It failed; of the class that the task raised, `JobError` when it raised something else.
        TimeoutError
            The time was up.
        """
        finished = self.wait(timeout)
        if finished is None:
            raise TimeoutError(f"{self.label} is still {self.state} after {timeout} s")
        if finished.status == "cancelled" and finished.result is None:
            raise Cancelled
        if finished.error is not None:
            raise finished.error.to_exception()
        return finished.result or {}
