"""Asynchronous inferences in flight."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from studio.api import Flow, GoOn


def fly(requests: Sequence[Any], go_on: GoOn) -> Flow:
    """Start an inference on each request, and again on the one that was started first when it has ended.

    Latencies are the engine's own, from the start to the end of a request. The callbacks of an
    ``AsyncInferQueue`` would tell them too, but when one still waits for Python's lock while its model
    is freed, both wait for ever.

    Parameters
    ----------
    requests
        Requests of one compiled model, with their inputs.
    """
    latencies: list[int] = []
    flying: list[Any] = []
    started = time.perf_counter_ns()
    try:
        for request in requests:
            if go_on():
                request.start_async()
                flying.append(request)
        while flying:
            request = flying.pop(0)
            request.wait()
            latencies.append(max(1, round(request.latency * 1e6)))
            if go_on():
                request.start_async()
                flying.append(request)
    finally:
        for request in flying:
            request.wait()
    return Flow(tuple(latencies), time.perf_counter_ns() - started, len(requests))
