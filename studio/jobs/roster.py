"""The jobs that wait and the workers there are: who starts next, and whether another worker is wanted.

Strictly first come, first served: only the head of the queue is ever considered. So a job that must run alone,
or that needs much memory, is not overtaken for ever by small ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from studio.jobs.job import Ticket
from studio.jobs.memory import Admission, Claim, Memory, admit
from studio.jobs.process import WorkerProcess
from studio.jobs.seat import Seat


class Roster:
    """Queue and seats of a pool. Not thread-safe: the pool holds its lock.

    Parameters
    ----------
    workers
        Jobs that may run at once.
    spare
        Keep an idle worker ready.
    gauge
        Reads the machine's memory.
    """

    def __init__(self, workers: int, spare: bool, gauge: Callable[[], Memory]) -> None:
        self.queue: deque[Ticket] = deque()
        self.seats: list[Seat] = []
        #: the last worker did not come up: no spare is tried until the next job
        self.broken = False
        self._workers = workers
        self._spare = spare
        self._gauge = gauge

    def seat_of(self, worker: WorkerProcess) -> Seat | None:
        """Find a worker's seat."""
        return next((seat for seat in self.seats if seat.worker is worker), None)

    def seat_with(self, ticket: Ticket) -> Seat | None:
        """Find the seat that has a job."""
        return next((seat for seat in self.seats if seat.ticket is ticket), None)

    @property
    def running(self) -> list[Seat]:
        """The seats that have a job."""
        return [seat for seat in self.seats if seat.ticket]

    def released(self, seat: Seat) -> None:
        """Put a seat whose job has ended where it is taken first: what it imported may serve the next job."""
        self.seats.remove(seat)
        self.seats.append(seat)

    def turn(self) -> Ticket | None:
        """Return the head of the queue when the jobs that run leave it a place."""
        running = self.running
        if not self.queue or len(running) >= self._workers:
            return None
        head = self.queue[0]
        if any(seat.ticket and seat.ticket.exclusive for seat in running):
            return None
        # A worker that is starting up would disturb a measurement as much as a job.
        if head.exclusive and (running or any(not seat.ready for seat in self.seats)):
            return None
        return head

    def admission(self, head: Ticket) -> tuple[Admission, int]:
        """Say whether the machine has the memory for a job, and how many bytes are free."""
        if not head.memory_bytes:
            return "start", 0
        for seat in self.seats:
            seat.used = seat.worker.memory()
        claims = [Claim(seat.ticket.memory_bytes, seat.used) for seat in self.seats if seat.ticket]
        idle = sum(seat.used for seat in self.seats if not seat.ticket)
        memory = self._gauge()
        return admit(head.memory_bytes, claims, idle, memory), memory.available

    def free_seat(self, head: Ticket) -> Seat | None:
        """Return the idle worker to use: the one used last, else a spare, else one that is still starting."""
        free = [seat for seat in self.seats if seat.free and not (head.fresh and seat.served)]
        return max(reversed(free), key=lambda seat: (seat.ready, seat.served), default=None)

    def trim(self) -> None:
        """Let an idle worker go when there are more than jobs may run at once, and another is to come."""
        idle = [seat for seat in self.seats if seat.free and seat.served]
        if idle and len(self.seats) > self._workers:
            idle[0].retire()

    def wants_spare(self) -> bool:
        """Tell whether to start a worker in advance: not while a measurement runs or is next."""
        if not self._spare or self.broken or any(seat.free for seat in self.seats):
            return False
        tickets = [*(seat.ticket for seat in self.seats if seat.ticket), *list(self.queue)[:1]]
        return not any(ticket.exclusive for ticket in tickets)

    def dismiss_idle(self) -> None:
        """Retire every worker without a job."""
        for seat in self.seats:
            if seat.ticket is None:
                seat.retire()
