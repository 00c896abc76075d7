"""The noise guard: what else the machine did while something was measured."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

from studio.core.frozen import Frozen
from studio.core.machine import readings

#: Share of one core that other programs may use before it is worth a sentence.
OTHERS = 0.1
#: Share of the processor time that the hypervisor may withhold.
STEAL = 0.01
#: Relative change of the frequency.
FREQUENCY = 0.1
#: Share of the memory that should stay available.
AVAILABLE = 0.05
#: Shorter observations mean nothing: the counters tick at 10 ms.
MIN_SECONDS = 0.2
#: Bytes swapped; less happens on an idle machine.
SWAPPED = 1 << 20
#: Share of the time in which programs may wait for memory, or for a container's quota.
STALLED = 0.01
#: Degrees below the processor's limit that are hot.
NEAR_LIMIT = 5.0


class Observation(Frozen):
    """The machine at one instant: counters in seconds and bytes since its start.

    Attributes
    ----------
    busy, stolen
        Processor time of all cores spent on any work, and withheld by the hypervisor.
    own
        Processor time of this process.
    frequency_mhz
        Mean over the cores; None where it cannot be read, as the following.
    memory_stall, quota_stall
        Seconds in which programs waited for memory, and for the processor quota of a container.
    throttles
        How often the processor was slowed down for heat.
    celsius, limit_celsius
        Temperature of the processor, and where it is slowed down at the latest.
    """

    time: float
    cores: int
    busy: float
    own: float
    stolen: float
    frequency_mhz: float | None
    available: int
    memory: int
    swapped: int
    governor: str | None = None
    memory_stall: float | None = None
    quota_stall: float | None = None
    throttles: int | None = None
    celsius: float | None = None
    limit_celsius: float | None = None


Observe = Callable[[], Observation]


def observe() -> Observation:
    """Observe this machine now."""
    import psutil

    cpu = psutil.cpu_times()
    own = psutil.Process().cpu_times()
    memory = psutil.virtual_memory()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # containers may hide the swap's counters
        swap = psutil.swap_memory()
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    heat = readings.temperature()
    # Guest time is part of user time already; waiting for a disk is idle time.
    work = ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")
    return Observation(
        time=time.monotonic(),
        cores=psutil.cpu_count() or 1,
        busy=sum(getattr(cpu, name, 0.0) for name in work),
        own=own.user + own.system,
        stolen=getattr(cpu, "steal", 0.0),
        frequency_mhz=frequency.current if frequency and frequency.current else None,
        available=memory.available,
        memory=memory.total,
        swapped=swap.sin + swap.sout,
        governor=readings.governor(),
        memory_stall=readings.memory_stall(),
        quota_stall=readings.quota_stall(),
        throttles=readings.throttles(),
        celsius=heat[0] if heat else None,
        limit_celsius=heat[1] if heat else None,
    )


def describe_noise(before: Observation, after: Observation) -> tuple[str, ...]:
    """Say in sentences what disturbed what was measured between two observations; empty when nothing did.

    Less than 0.2 s between them is too short to say anything.
    """
    seconds = after.time - before.time
    if seconds < MIN_SECONDS:
        return ()
    found = (
        _others(before, after, seconds),
        _steal(before, after, seconds),
        _frequency(before, after),
        _governor(before, after),
        _throttling(before, after),
        _heat(after),
        _memory(before, after),
        _stalled(before.memory_stall, after.memory_stall, seconds, "Programs waited for memory {} of the time."),
        _stalled(
            before.quota_stall,
            after.quota_stall,
            seconds,
            "The processor quota of this container held it back {} of the time.",
        ),
    )
    return tuple(sentence for sentence in found if sentence)


class NoiseGuard:
    """Watches the machine from when it is made until `finish`."""

    def __init__(self, observe: Observe = observe) -> None:
        self._observe = observe
        self._before = observe()

    def finish(self) -> tuple[str, ...]:
        """Say what disturbed meanwhile."""
        return describe_noise(self._before, self._observe())


def _others(before: Observation, after: Observation, seconds: float) -> str:
    others = ((after.busy - before.busy) - (after.own - before.own)) / seconds
    if others <= OTHERS:
        return ""
    return f"Other programs kept {others:.1f} of {after.cores} cores busy."


def _steal(before: Observation, after: Observation, seconds: float) -> str:
    share = (after.stolen - before.stolen) / (seconds * after.cores)
    return f"The hypervisor withheld {share:.0%} of the processor time." if share > STEAL else ""


def _frequency(before: Observation, after: Observation) -> str:
    first, last = before.frequency_mhz, after.frequency_mhz
    if not first or not last or abs(last - first) <= FREQUENCY * first:
        return ""
    return f"The processor's frequency changed from {first:,.0f} to {last:,.0f} MHz."


def _memory(before: Observation, after: Observation) -> str:
    swapped = after.swapped - before.swapped
    if swapped > SWAPPED:
        return f"The system swapped {swapped / (1 << 20):,.0f} MB: memory is short."
    if after.available < AVAILABLE * after.memory:
        return f"Only {after.available / (1 << 20):,.0f} MB of memory are left: the system may swap."
    return ""


def _governor(before: Observation, after: Observation) -> str:
    if before.governor == after.governor:
        return ""
    return f"The frequency governor changed from {before.governor} to {after.governor}."


def _throttling(before: Observation, after: Observation) -> str:
    if before.throttles is None or after.throttles is None or after.throttles <= before.throttles:
        return ""
    return f"The processor was slowed down for heat {after.throttles - before.throttles} times."


def _heat(after: Observation) -> str:
    if after.celsius is None or after.limit_celsius is None or after.celsius < after.limit_celsius - NEAR_LIMIT:
        return ""
    return f"The processor is at {after.celsius:.0f} °C, near its limit of {after.limit_celsius:.0f} °C."


def _stalled(before: float | None, after: float | None, seconds: float, sentence: str) -> str:
    if before is None or after is None or after - before <= STALLED * seconds:
        return ""
    return sentence.format(f"{min(1.0, (after - before) / seconds):.0%}")
