"""A parent to be killed: it starts a job that hangs, says who there is, and waits.

Arguments: the task, and what it does then.
"""

from __future__ import annotations

import sys
import threading

from studio.jobs.pool import JobPool
from studio.jobs.protocol import JobEvent, Log, Started


def tell(event: JobEvent) -> None:
    if isinstance(event, Started):
        print(event.pid, flush=True)
    if isinstance(event, Log) and event.level != "debug":
        print(event.text, flush=True)


if __name__ == "__main__":
    pool = JobPool(1, spare=False)
    pool.submit(f"tests.jobs.misbehaving:{sys.argv[1]}", {"then": sys.argv[2]}, on_event=tell)
    threading.Event().wait()
