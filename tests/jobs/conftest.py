"""Pools of real processes, and the proof that none is left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from studio.jobs.pool import JobPool
from studio.jobs.seat import CancelGrace

#: short rungs; long enough that a task that answers at all gets to answer
GRACE = CancelGrace(ask=0.5, terminate=0.5)

MakePool = Callable[..., JobPool]


@pytest.fixture(autouse=True)
def no_orphans() -> Iterator[None]:
    before = set(psutil.Process(os.getpid()).children(recursive=True))
    yield
    left = [child for child in psutil.Process(os.getpid()).children(recursive=True) if child not in before]
    assert not left


@pytest.fixture
def make_pool(no_orphans: None) -> Iterator[MakePool]:
    pools: list[JobPool] = []

    def make(workers: int = 1, **options: Any) -> JobPool:
        pools.append(JobPool(workers, **{"spare": False, "grace": GRACE, **options}))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def pool(make_pool: MakePool) -> JobPool:
    return make_pool()
