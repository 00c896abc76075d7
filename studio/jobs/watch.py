"""The watch over the memory of running jobs."""

from __future__ import annotations

from collections.abc import Sequence

from studio.jobs import failures
from studio.jobs.memory import Memory
from studio.jobs.protocol import ErrorInfo
from studio.jobs.seat import Seat


def overrun(running: Sequence[Seat], limit: int | None, memory: Memory) -> tuple[Seat, ErrorInfo] | None:
    """Find the worker that has to end because of its memory.

    Parameters
    ----------
    running
        Seats with a job, with a fresh `used`.
    limit
        Bytes that each may use; None: no such limit.
    memory
        The state of the machine.

    Returns
    -------
    tuple of Seat and ErrorInfo, or None
        The largest worker, if it is above the limit, or if the machine is below its floor and ending it helps.
    """
    largest = max(running, key=lambda seat: seat.used, default=None)
    if largest is None or largest.ticket is None:
        return None
    if limit is not None and largest.used > limit:
        reason = f"Its limit is {failures.size_text(limit)}."
    elif memory.available < memory.floor() <= largest.used:
        # Below the floor the system starts to swap, or ends a process of its own choice: perhaps the window.
        reason = f"Only {failures.size_text(memory.available)} of the machine's memory was left."
    else:
        return None
    return largest, failures.of_overrun(largest.used, largest.ticket.step, reason)
