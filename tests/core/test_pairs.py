from __future__ import annotations

import gc
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from studio.core.errors import Cancelled
from studio.core.pairs import TimingOptions, measure_alone, measure_pair, plan
from studio.core.report import SilentReporter


class FakeClock:
    """Time that passes only when a model runs."""

    def __init__(self) -> None:
        self.now = 0
        self.log: list[str] = []

    def __call__(self) -> int:
        return self.now

    def model(self, name: str, milliseconds: float) -> Callable[[], None]:
        def run() -> None:
            self.log.append(name)
            self.now += round(milliseconds * 1e6)

        return run


class Recorder(SilentReporter):
    """Keeps what is streamed, with its time; asks to stop when told."""

    def __init__(self, clock: FakeClock, stop_after: int | None = None) -> None:
        self.clock = clock
        self.sent: list[tuple[int, str, list[int], dict[str, Any]]] = []
        self.told: list[tuple[float, float, str]] = []
        self.checks = 0
        self.stop_after = stop_after

    def samples(self, series: str, values: Sequence[int], info: Mapping[str, Any] | None = None) -> None:
        self.sent.append((self.clock.now, series, list(values), dict(info or {})))

    def progress(self, done: float, total: float, label: str = "") -> None:
        self.told.append((done, total, label))

    def check(self) -> None:
        self.checks += 1
        if self.stop_after is not None and self.checks > self.stop_after:
            raise Cancelled

    def series(self, name: str, phase: str) -> list[int]:
        return [
            value
            for _, series, values, info in self.sent
            for value in values
            if (series, info["phase"]) == (name, phase)
        ]


def test_pairs_are_complete_and_tell_the_models_apart() -> None:
    clock = FakeClock()
    options = TimingOptions(seconds=1.0)
    found = measure_pair(clock.model("a", 10), clock.model("b", 5), options, SilentReporter(), clock)
    assert set(found.baseline.samples_ns) == {10_000_000}
    assert set(found.variant.samples_ns) == {5_000_000}
    assert len(found.baseline.samples_ns) == len(found.variant.samples_ns) == 34  # rounds of 30 ms fill a second
    assert found.baseline.steady
    assert found.variant.steady
    assert not found.cancelled
    assert found.warnings == ()


def test_the_order_is_random_seeded_and_fair() -> None:
    def order(seed: int) -> list[str]:
        clock = FakeClock()
        options = TimingOptions(seconds=1000, max_samples=200, seed=seed)
        measure_pair(clock.model("a", 400), clock.model("b", 400), options, SilentReporter(), clock)
        return clock.log[-400::2]

    firsts = order(1)
    assert 70 < firsts.count("a") < 130
    assert firsts == order(1)
    assert firsts != order(2)


def test_each_timed_inference_follows_untimed_ones_of_the_same_model() -> None:
    clock = FakeClock()
    options = TimingOptions(seconds=60, max_samples=10)
    measure_pair(clock.model("a", 0.2), clock.model("b", 200), options, SilentReporter(), clock)
    turns = "".join(clock.log[-10 * (3 + 1 + 2) :])
    assert re.fullmatch(r"(aaaabb|bbaaaa){10}", turns)


def test_slow_models_run_no_untimed_inferences() -> None:
    clock = FakeClock()
    options = TimingOptions(seconds=60, max_samples=3, warmup_limit_seconds=1)
    measure_pair(clock.model("a", 1000), clock.model("b", 1000), options, SilentReporter(), clock)
    assert len(clock.log) == 2 + 6


def test_quick_models_are_timed_several_together() -> None:
    clock = FakeClock()
    options = TimingOptions(seconds=0.01, max_samples=50)
    found = measure_alone(clock.model("a", 0.012), options, SilentReporter(), clock)
    assert found.model.inner == 5
    assert set(found.model.samples_ns) == {12_000}
    assert "5 inferences are timed together" in found.warnings[0]


def test_very_slow_models_give_few_samples_and_say_so() -> None:
    clock = FakeClock()
    found = measure_alone(clock.model("a", 4000), TimingOptions(seconds=6), SilentReporter(), clock)
    assert len(found.model.samples_ns) == 5  # three times six seconds
    assert not found.model.steady
    assert found.warnings[0] == "Only 5 samples were taken in 20.0 s (one inference takes 4 s)."


def test_the_least_number_is_reached_beyond_the_time() -> None:
    clock = FakeClock()
    options = TimingOptions(seconds=2, min_samples=20)
    assert len(measure_alone(clock.model("a", 200), options, SilentReporter(), clock).model.samples_ns) == 20


def test_it_stops_at_the_most_samples() -> None:
    clock = FakeClock()
    found = measure_alone(clock.model("a", 1), TimingOptions(seconds=60, max_samples=30), SilentReporter(), clock)
    assert len(found.model.samples_ns) == 30


def test_it_stops_when_the_interval_is_narrow() -> None:
    clock = FakeClock()
    options = TimingOptions(seconds=60, target_width=0.01, min_samples=20)
    found = measure_pair(clock.model("a", 10), clock.model("b", 9), options, SilentReporter(), clock)
    assert len(found.baseline.samples_ns) == 20


def test_samples_are_streamed_whole_and_seldom() -> None:
    clock = FakeClock()
    reporter = Recorder(clock)
    found = measure_pair(
        clock.model("a", 2), clock.model("b", 3), TimingOptions(seconds=1), reporter, clock, ("x", "y")
    )
    assert reporter.series("x", "steady") == list(found.baseline.samples_ns)
    assert reporter.series("y", "steady") == list(found.variant.samples_ns)
    assert reporter.series("x", "warmup") == list(found.baseline.warmup_ns)
    assert reporter.series("y", "warmup") == list(found.variant.warmup_ns)
    times = sorted({time for time, _, _, info in reporter.sent if info["phase"] == "steady"})
    assert all(later - earlier >= 90_000_000 for earlier, later in pairwise(times[:-1]))
    assert len(times) > 5
    assert [label for _, _, label in reporter.told[:2]] == ["warming up x", "warming up y"]
    assert all(0 <= done <= total for done, total, _ in reporter.told)
    assert {total for _, total, _ in reporter.told} == {0.0, 1.0}


@pytest.mark.parametrize("stop_after", [0, 5, 300, 301])
def test_cancelling_keeps_complete_pairs(stop_after: int) -> None:
    clock = FakeClock()
    reporter = Recorder(clock, stop_after)
    found = measure_pair(clock.model("a", 1), clock.model("b", 1), TimingOptions(), reporter, clock)
    assert found.cancelled
    assert len(found.baseline.samples_ns) == len(found.variant.samples_ns)
    assert bool(found.baseline.samples_ns) == (stop_after >= 300)
    assert reporter.series("baseline", "steady") == list(found.baseline.samples_ns)


def test_the_collector_is_off_meanwhile_and_on_again() -> None:
    clock = FakeClock()
    states: set[bool] = set()

    def call() -> None:
        states.add(gc.isenabled())
        clock.now += 1_000_000

    measure_alone(call, TimingOptions(seconds=0.1), SilentReporter(), clock)
    assert states == {False}
    assert gc.isenabled()


def test_a_model_that_fails_ends_the_run_and_leaves_the_collector_on() -> None:
    def broken() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        measure_alone(broken, TimingOptions(), SilentReporter())
    assert gc.isenabled()


def test_a_plan_shares_the_time_and_gives_each_pair_an_order_of_its_own() -> None:
    shares = plan(TimingOptions(seconds=12, seed=5), 3)
    assert [share.seconds for share in shares] == [4, 4, 4]
    assert [share.seed for share in shares] == [5, 6, 7]
    assert [share.seconds for share in plan(TimingOptions(seconds=12), 0)] == [12]
    assert plan(TimingOptions(seconds=3), 100)[0].seconds == 1


def test_real_time_is_measured() -> None:
    options = TimingOptions(seconds=0.2, warmup_limit_seconds=0.3)
    found = measure_pair(lambda: sum(range(40_000)), lambda: sum(range(10_000)), options, SilentReporter())
    assert (
        sorted(found.baseline.samples_ns)[len(found.baseline.samples_ns) // 2]
        > 2 * (sorted(found.variant.samples_ns)[len(found.variant.samples_ns) // 2])
    )
