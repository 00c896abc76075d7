"""Throughput: several inferences in flight at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

#: Asked before each inference: whether to go on.
GoOn = Callable[[], bool]


@dataclass(frozen=True)
class Flow:
    """Inferences that ran `requests` at a time.

    Attributes
    ----------
    latencies_ns
        Nanoseconds of each from its start to its end, in the order in which they ended.
    elapsed_ns
        From the first start to the last end.
    """

    latencies_ns: tuple[int, ...]
    elapsed_ns: int
    requests: int

    @property
    def per_second(self) -> float:
        """Inferences a second."""
        return len(self.latencies_ns) / max(1, self.elapsed_ns) * 1e9


def flow_of(calls: Sequence[Callable[[], Any]], go_on: GoOn) -> Flow:
    """Run each call again and again in a thread of its own until `go_on` says no.

    Raises
    ------
    Exception
        The first that a call or `go_on` raised; the others then end after the inference that they are at.
    """
    latencies: list[int] = []
    failures: list[BaseException] = []

    def serve(call: Callable[[], Any]) -> None:
        try:
            while not failures and go_on():
                start = time.perf_counter_ns()
                call()
                latencies.append(time.perf_counter_ns() - start)
        except BaseException as error:  # told to the caller, whose thread this may not be
            failures.append(error)

    started = time.perf_counter_ns()
    if len(calls) == 1:
        serve(calls[0])
    else:
        threads = [threading.Thread(target=serve, args=(call,), daemon=True) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    elapsed = time.perf_counter_ns() - started
    if failures:
        raise failures[0]
    return Flow(tuple(latencies), elapsed, len(calls))
