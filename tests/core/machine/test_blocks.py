from __future__ import annotations

from collections.abc import Iterator

import pytest

from studio.core.machine.blocks import BlockWatch, Stability, together
from studio.core.machine.processes import process_spread
from studio.core.noise import Observation, describe_noise
from studio.core.pairs import TimingOptions, measure_pair
from studio.core.report import SilentReporter

MEMORY = {"available": 8 << 30, "memory": 16 << 30}


class Machine:
    """A machine on which time passes when a model runs, and whose hypervisor withholds it in given seconds."""

    def __init__(self, bad: tuple[tuple[float, float], ...] = ()) -> None:
        self.now, self.stolen, self.bad = 0.0, 0.0, bad

    def clock(self) -> int:
        return round(self.now * 1e9)

    def run(self) -> None:
        slow = any(low <= self.now < high for low, high in self.bad)
        self.now += 0.03 if slow else 0.01
        self.stolen += 0.02 if slow else 0.0

    def observe(self) -> Observation:
        return Observation(
            time=self.now, cores=1, busy=0, own=0, stolen=self.stolen, frequency_mhz=None, swapped=0, **MEMORY
        )


def measure(machine: Machine, seconds: float = 5.0) -> tuple[BlockWatch, tuple[int, ...], tuple[int, ...], float]:
    watch = BlockWatch(seconds, machine.observe, describe_noise)
    found = measure_pair(
        machine.run, machine.run, TimingOptions(seconds=seconds), SilentReporter(), machine.clock, watch=watch
    )
    return watch, found.baseline.samples_ns, found.baseline.disturbed_ns, machine.now


def test_a_quiet_run_is_stable_and_loses_nothing() -> None:
    watch, kept, disturbed, _ = measure(Machine())
    assert watch.stability().text == "stable"
    assert watch.stability().blocks >= 5
    assert disturbed == ()
    assert set(kept) == {10_000_000}


def test_a_block_that_was_hit_is_measured_again() -> None:
    _, _, _, quiet = measure(Machine())
    watch, kept, disturbed, lasted = measure(Machine(bad=((3.0, 3.4),)))
    found = watch.stability()
    assert found.verdict == "stable"
    assert 1 <= found.repeated == found.hit <= 2
    assert "disturbed and measured again" in found.text
    assert max(kept) == 10_000_000
    assert 30_000_000 in disturbed
    assert lasted > quiet + 0.4


def test_lasting_noise_is_not_measured_again_but_said() -> None:
    watch, kept, disturbed, _ = measure(Machine(bad=((0.0, 1000.0),)))
    found = watch.stability()
    assert found.verdict == "noisy"
    assert found.text.startswith("noisy: The hypervisor withheld 67% of the processor time.")
    assert disturbed == ()
    assert kept
    assert watch.extra == 0


def test_repeating_has_a_bound() -> None:
    bad = tuple((start, start + 0.1) for start in (2.0, 3.5, 5.0, 6.5, 8.0, 9.5))
    watch, _, _, lasted = measure(Machine(bad=bad), seconds=4.0)
    _, _, _, quiet = measure(Machine(), seconds=4.0)
    assert lasted <= quiet + 0.5 * 4.0 + 0.7
    assert watch.stability().repeated <= watch.stability().hit


def test_a_short_run_cannot_tell() -> None:
    watch, _, _, _ = measure(Machine(), seconds=0.1)
    assert watch.stability().verdict in ("cannot tell", "stable")
    nothing = BlockWatch(1.0, Machine().observe, describe_noise)
    assert nothing.stability().text == "cannot tell: The run was too short to watch."


def test_several_runs_are_as_noisy_as_the_worst() -> None:
    quiet = Stability(verdict="stable", blocks=4, hit=0, repeated=0)
    noisy = Stability(verdict="noisy", blocks=4, hit=2, repeated=0, noise=("Other programs ran.",))
    both = together([quiet, noisy])
    assert both is not None
    assert both.text == "noisy: Other programs ran. (2 of 8 blocks)"
    assert together([]) is None


def values() -> Iterator[float]:
    yield from (1.0, 1.1, 0.9, 1.05)


def test_the_spread_between_processes() -> None:
    found = process_spread(list(values()))
    assert found.low < found.middle < found.high
    assert found.spread == pytest.approx(0.0865, abs=1e-3)
    # Student's t with 3 degrees of freedom: 3.182 / sqrt(4) standard deviations
    assert found.high / found.middle == pytest.approx(1.1475, abs=2e-3)


def test_two_processes_give_their_range() -> None:
    found = process_spread([2.0, 8.0])
    assert (found.low, found.middle, found.high) == pytest.approx((2.0, 4.0, 8.0))
    with pytest.raises(ValueError, match="positive"):
        process_spread([1.0, 0.0])
