"""The pool of worker processes: bounded, with a warm spare, and with every end accounted for."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from studio.core.errors import JobError
from studio.jobs.delivery import Delivery
from studio.jobs.job import Job, OnEvent, Ticket
from studio.jobs.memory import Memory, read_memory
from studio.jobs.protocol import Run, encode
from studio.jobs.seat import CancelGrace
from studio.jobs.supervisor import Supervisor, Terms
from studio.jobs.wire import NotJsonError

#: seconds that callbacks have to return when the pool closes
_LAST_CALLBACKS = 5.0
_GRACE = CancelGrace()


class JobPool:
    """Runs tasks in child processes.

    Parameters
    ----------
    workers
        Jobs at once; None: one for every two processors that this process may use, at most 4.
    spare
        Keep an idle worker ready, the first from now on.
    grace
        How long a job has to answer a cancellation.
    memory_limit
        Bytes of resident memory above which a worker is ended; None: only the machine's memory counts.
    gauge
        Reads the machine's memory.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        spare: bool = True,
        grace: CancelGrace = _GRACE,
        memory_limit: int | None = None,
        gauge: Callable[[], Memory] = read_memory,
    ) -> None:
        self._numbers = itertools.count(1)
        self._delivery = Delivery()
        terms = Terms(max(1, workers or default_workers()), spare, grace, memory_limit, gauge)
        self._supervisor = Supervisor(terms, self._delivery)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def jobs(self) -> list[Job]:
        """The jobs that run and those that wait, in this order."""
        return [self._job(ticket) for ticket in self._supervisor.tickets]

    def submit(
        self,
        task: str,
        payload: dict[str, Any],
        *,
        label: str = "",
        step: str = "",
        exclusive: bool = False,
        fresh: bool = False,
        partial: bool = False,
        memory_bytes: int = 0,
        on_event: OnEvent | None = None,
    ) -> Job:
        """Queue a job.

        Parameters
        ----------
        task
            "package.module:function"; called in a worker with the payload and a `Reporter`, returns a dict.
        payload
            What JSON can carry, see `studio.jobs.wire`; copied now.
        label
            What a person reads; the step when empty.
        step
            What errors say the job was doing; the function's name when empty.
        exclusive
            Run it alone: it waits for the jobs before it, the jobs after it wait for it.
        fresh
            Run it in a worker that ran nothing before, whose memory no other job has grown.
        partial
            What the task returns after it was asked to stop is worth having: a cancelled job then has it as its
            result.
        memory_bytes
            An estimate of what it needs; when the machine cannot give that, it fails before it starts.
        on_event
            Called with each of its events, in order, on the pool's one thread for callbacks: be quick.

        Raises
        ------
        JobError
            The pool is closed, or the payload is not JSON.
        """
        step = step or task.rpartition(":")[2] or "the job"
        name = f"job-{next(self._numbers)}"
        try:
            command = encode(Run(name, task, payload, step))
        except NotJsonError as error:
            raise JobError(f"{step} cannot be sent to a worker: {error}.") from None
        ticket = Ticket(
            name,
            label=label or step,
            step=step,
            command=command,
            deliverer=self._delivery.thread,
            exclusive=exclusive,
            fresh=fresh,
            partial=partial,
            memory_bytes=memory_bytes,
            on_event=on_event,
        )
        if not self._supervisor.add(ticket):
            raise JobError("The job pool is closed.")
        return self._job(ticket)

    def close(self) -> None:
        """Cancel everything and wait until every worker, and what it started, is gone; safe to call again."""
        self._delivery.stop_waiting()
        self._supervisor.close()
        self._delivery.close(_LAST_CALLBACKS)

    def _job(self, ticket: Ticket) -> Job:
        return Job(ticket, lambda: self._supervisor.cancel(ticket))


def default_workers() -> int:
    """Return the number of jobs at once: passes use several threads each, so two processors a job."""
    if sys.platform == "linux":
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    return max(1, min(4, processors // 2))
