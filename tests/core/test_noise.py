from __future__ import annotations

import time
from typing import Any

import pytest

from studio.core.noise import NoiseGuard, Observation, describe_noise, observe

BEFORE = Observation(
    time=100, cores=4, busy=1000, own=50, stolen=7, frequency_mhz=3000, available=8 << 30, memory=16 << 30, swapped=0
)


def after(**changes: Any) -> Observation:
    """Ten seconds later, in which this process used two cores."""
    return BEFORE.model_copy(update={"time": 110, "busy": 1020, "own": 70, **changes})


def test_a_quiet_machine_says_nothing() -> None:
    assert describe_noise(BEFORE, after()) == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"busy": 1035}, "Other programs kept 1.5 of 4 cores busy."),
        ({"stolen": 9}, "The hypervisor withheld 5% of the processor time."),
        ({"frequency_mhz": 2000}, "The processor's frequency changed from 3,000 to 2,000 MHz."),
        ({"swapped": 12 << 20}, "The system swapped 12 MB: memory is short."),
        ({"available": 100 << 20}, "Only 100 MB of memory are left: the system may swap."),
    ],
)
def test_each_disturbance_is_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert describe_noise(BEFORE, after(**changes)) == (sentence,)


@pytest.mark.parametrize(
    "changes",
    [{"busy": 1020.9}, {"stolen": 7.3}, {"frequency_mhz": 2800}, {"frequency_mhz": None}, {"swapped": 4096}],
)
def test_little_is_no_noise(changes: dict[str, Any]) -> None:
    assert describe_noise(BEFORE, after(**changes)) == ()


def test_too_short_to_tell() -> None:
    assert describe_noise(BEFORE, after(time=100.1, busy=1100)) == ()


def test_the_guard_compares_its_making_with_its_end() -> None:
    seen = iter([BEFORE, after(stolen=9)])
    guard = NoiseGuard(lambda: next(seen))
    assert guard.finish() == ("The hypervisor withheld 5% of the processor time.",)


def test_observing_this_machine() -> None:
    first = observe()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    second = observe()
    assert second.own - first.own >= 0.05
    assert second.busy >= first.busy
    assert second.time > first.time
    assert 0 < second.available <= second.memory
