"""The pool's engine: it starts workers and jobs, and accounts for every end.

Threads: the supervisor gives out jobs, climbs the ladder of cancellation and watches memory; each worker has
three that serve its pipes and call in here; `Delivery` has one that calls the callbacks. The supervisor alone
starts processes, and it outlives them all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from studio.jobs import failures
from studio.jobs.delivery import Delivery
from studio.jobs.job import Ticket
from studio.jobs.memory import Memory
from studio.jobs.process import Exit, WorkerProcess
from studio.jobs.protocol import Cancel, ErrorInfo, Finished, Hello, Log, Message, Run, Started
from studio.jobs.roster import Roster
from studio.jobs.seat import CancelGrace, Seat
from studio.jobs.watch import overrun

#: seconds between two looks at the memory of running jobs
_TICK = 0.2
#: seconds that a rung of the ladder takes at most when the pool closes
_CLOSING = 1.0

_log = logging.getLogger("burnish.jobs")


@dataclass(frozen=True)
class Terms:
    """What a pool was told: see `studio.jobs.pool.JobPool`."""

    workers: int
    spare: bool
    grace: CancelGrace
    memory_limit: int | None
    gauge: Callable[[], Memory]


class Supervisor:
    """Runs tickets in workers.

    Parameters
    ----------
    terms
        The pool's settings.
    delivery
        Takes the jobs' events.
    """

    def __init__(self, terms: Terms, delivery: Delivery) -> None:
        self._terms = terms
        self._delivery = delivery
        self._roster = Roster(terms.workers, terms.spare, terms.gauge)
        self._changed = threading.Condition()
        self._dirty = False
        self._closing = False
        self._gone: list[WorkerProcess] = []
        self._look_at = 0.0
        self._thread = threading.Thread(target=self._supervise, name="job supervisor", daemon=True)
        self._thread.start()

    # Called by the pool, on any thread.

    @property
    def tickets(self) -> list[Ticket]:
        """The jobs that are running or queued."""
        with self._changed:
            return [*(seat.ticket for seat in self._roster.seats if seat.ticket), *self._roster.queue]

    def add(self, ticket: Ticket) -> bool:
        """Queue a job; False when the pool is closed."""
        with self._changed:
            if not self._closing:
                self._roster.queue.append(ticket)
                self._roster.broken = False
                self._wake()
            return not self._closing

    def cancel(self, ticket: Ticket) -> None:
        """End a queued job, ask a running one to stop; nothing for one that is over."""
        with self._changed:
            seat = self._roster.seat_with(ticket)
            if ticket in self._roster.queue:
                self._drop(ticket, Finished(ticket.id, "cancelled"))
            elif seat and not ticket.cancelling:
                seat.cancel(self._terms.grace)
            self._wake()

    def close(self) -> None:
        """Cancel all jobs and wait until every worker is gone."""
        with self._changed:
            self._closing = True
            for ticket in list(self._roster.queue):
                self._drop(ticket, Finished(ticket.id, "cancelled"))
            for seat in self._roster.running:
                seat.cancel(self._terms.grace.shortened(_CLOSING))
            self._wake()
        self._thread.join()

    # Called by the workers, on their threads.

    def received(self, worker: WorkerProcess, message: Message) -> None:
        """Take a message from a worker."""
        self._delivery.make_room()
        with self._changed:
            seat = self._roster.seat_of(worker)
            if seat is None or isinstance(message, Run | Cancel):
                return
            if isinstance(message, Hello):
                seat.ready = True
                self._wake()
            elif seat.ticket and message.job == seat.ticket.id:
                seat.begun = seat.begun or isinstance(message, Started)
                if isinstance(message, Finished):
                    self._finish(seat, seat.ticket, message)
                else:
                    self._delivery.post(seat.ticket, message)

    def printed(self, worker: WorkerProcess, text: str) -> None:
        """Add a line that a worker printed to the log of its job."""
        self._delivery.make_room()
        with self._changed:
            seat = self._roster.seat_of(worker)
            if seat and seat.ticket:
                self._delivery.post(seat.ticket, Log(seat.ticket.id, "debug", text))

    def exited(self, worker: WorkerProcess, end: Exit) -> None:
        """Account for a worker that is gone, and for its job."""
        with self._changed:
            self._gone.append(worker)
            seat = self._roster.seat_of(worker)
            if seat:
                self._roster.seats.remove(seat)
                self._account(seat, end)
            self._wake()

    # With the lock held.

    def _wake(self) -> None:
        self._dirty = True
        self._changed.notify()

    def _drop(self, ticket: Ticket, finished: Finished) -> None:
        self._roster.queue.remove(ticket)
        self._delivery.post(ticket, finished)

    def _finish(self, seat: Seat, ticket: Ticket, finished: Finished) -> None:
        seat.clear()
        self._roster.released(seat)
        if finished.error and finished.error.kind == "MemoryError":
            seat.retire()
        self._conclude(ticket, finished)
        self._wake()

    def _conclude(self, ticket: Ticket, finished: Finished) -> None:
        if ticket.cancelling:
            # Whatever came of it in the meantime: who cancelled a job gets its result only if it may be a part.
            kept = finished.result if ticket.partial else None
            finished = Finished(ticket.id, "cancelled", kept, seconds=finished.seconds)
        self._delivery.post(ticket, finished)

    def _account(self, seat: Seat, end: Exit) -> None:
        ticket = seat.ticket
        if ticket and seat.verdict:
            self._fail(ticket, replace(seat.verdict, detail=end.tail), seat.since)
        elif not seat.ready and not seat.leaving:
            self._not_started(failures.of_start(failures.cause(end.returncode), end.tail), ticket)
        elif ticket and not seat.begun and not ticket.cancelling and ticket.attempts == 1:
            # It died of something that came before this job: give the job to another.
            ticket.state = "queued"
            self._roster.queue.appendleft(ticket)
        elif ticket:
            self._fail(ticket, failures.of_crash(end.returncode, ticket.step, end.tail), seat.since)

    def _fail(self, ticket: Ticket, error: ErrorInfo, since: float) -> None:
        self._conclude(ticket, Finished(ticket.id, "failed", error=error, seconds=time.monotonic() - since))

    def _refuse(self, ticket: Ticket, error: ErrorInfo) -> None:
        self._drop(ticket, Finished(ticket.id, "failed", error=error))

    def _not_started(self, error: ErrorInfo, ticket: Ticket | None) -> None:
        # The next one would not come up either: fail the job that waits for it, and try again with the next job.
        self._roster.broken = True
        if ticket:
            self._fail(ticket, error, time.monotonic())
        elif self._roster.queue:
            self._refuse(self._roster.queue[0], error)

    def _give_out(self) -> bool:
        """Start the jobs that may start; True when another worker is wanted."""
        while head := self._roster.turn():
            admission, free = self._roster.admission(head)
            if admission == "refuse":
                self._refuse(head, failures.of_need(head.memory_bytes, free, head.step))
                continue
            if admission == "wait":
                if not self._roster.running:
                    self._roster.dismiss_idle()
                return False
            seat = self._roster.free_seat(head)
            if seat is None:
                self._roster.trim()
                return True
            seat.assign(self._roster.queue.popleft())
        return not self._closing and self._roster.wants_spare()

    # On the supervisor's thread, without the lock.

    def _supervise(self) -> None:
        over = False
        while not over:
            try:
                pause = self._round()
            except Exception:  # without this thread no job would ever end
                _log.exception("the supervisor of the jobs failed")
                pause = _TICK
            with self._changed:
                over = self._closing and not self._roster.seats and not self._roster.queue
                self._changed.wait_for(lambda: self._dirty or over, pause)  # noqa: B023 - called at once
        self._join_gone()

    def _round(self) -> float | None:
        """Do what there is to do; return the seconds until there is more, None when only an event brings it."""
        with self._changed:
            self._dirty = False
            if self._closing:
                self._roster.dismiss_idle()
            wanted = self._give_out()
        self._join_gone()
        if wanted:
            self._hire()
        self._watch()
        with self._changed:
            now = time.monotonic()
            for seat in self._roster.seats:
                seat.ladder.climb(now)
            return self._pause(now)

    def _pause(self, now: float) -> float | None:
        times = [seat.ladder.due for seat in self._roster.seats if seat.ladder.due is not None]
        if self._roster.running:
            times.append(self._look_at)
        elif self._roster.queue:
            times.append(now + _TICK)
        return max(0.0, min(times) - now) if times else None

    def _hire(self) -> None:
        try:
            worker = WorkerProcess(self)
        except Exception as error:  # mostly OSError; whatever it is, the job that waits must learn of it
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            with self._changed:
                self._not_started(failures.of_start(reason, ""), None)
            return
        with self._changed:
            self._roster.seats.append(Seat(worker))
            self._wake()
        worker.start()

    def _join_gone(self) -> None:
        with self._changed:
            gone, self._gone = self._gone, []
        for worker in gone:
            worker.join()

    def _watch(self) -> None:
        now = time.monotonic()
        with self._changed:
            jobs = {seat: seat.ticket for seat in self._roster.running}
        if not jobs or now < self._look_at:
            return
        self._look_at = now + _TICK
        for seat in jobs:
            seat.worker.kill_if_dead()
            seat.used = seat.worker.memory()
        found = overrun(list(jobs), self._terms.memory_limit, self._terms.gauge())
        with self._changed:
            if found and found[0].ticket is jobs[found[0]]:
                found[0].condemn(found[1])
