from __future__ import annotations

import itertools

import numpy as np
import pytest

from studio.core.warmup import Warmup, is_steady


def feed(warmup: Warmup, latencies: list[float]) -> int:
    """Feed milliseconds until it is done; give how many it took."""
    for count, latency in enumerate(itertools.chain(latencies, itertools.repeat(latencies[-1])), 1):
        if warmup.feed(round(latency * 1e6)):
            return count
    raise AssertionError


def test_a_model_that_is_steady_at_once_needs_a_tenth_of_a_second() -> None:
    warmup = Warmup()
    assert feed(warmup, [1.0]) == 125  # a first look after 0.1 s, a second one with a quarter more
    assert warmup.steady
    assert warmup.sentence("m") == ""
    assert warmup.samples_ns == (1_000_000,) * 125


def test_it_waits_until_latencies_stop_falling() -> None:
    random = np.random.default_rng(0)
    falling = [(30 - i / 10 if i < 200 else 10) * float(random.normal(1, 0.03)) for i in range(2000)]
    warmup = Warmup(limit_seconds=60)
    taken = feed(warmup, falling)
    assert warmup.steady
    assert 250 < taken < 900
    assert np.median(warmup.samples_ns[-50:]) == pytest.approx(10e6, rel=0.03)


def test_noise_alone_does_not_keep_it_waiting() -> None:
    random = np.random.default_rng(1)
    taken = [feed(Warmup(), list(random.lognormal(0, 0.3, 3000))) for _ in range(50)]
    assert np.median(taken) < 300


@pytest.mark.parametrize(("limits", "count"), [({"limit_seconds": 0.5}, 27), ({"limit_samples": 12}, 12)])
def test_it_gives_up_at_its_limits_and_says_so(limits: dict[str, float], count: int) -> None:
    warmup = Warmup(**limits)  # type: ignore[arg-type]
    rising = [5.0 * 1.1**i for i in range(100)]
    assert feed(warmup, rising) <= count
    assert not warmup.steady
    assert warmup.sentence("int8").startswith("int8 did not reach a steady latency in")


def test_one_inference_of_a_slow_model_may_be_the_limit() -> None:
    warmup = Warmup(limit_seconds=5)
    assert feed(warmup, [9000.0]) == 1
    assert not warmup.steady


def test_a_limit_gives_slow_models_a_last_look() -> None:
    warmup = Warmup(limit_seconds=5)
    assert feed(warmup, [900.0, *[500.0] * 20]) == 10
    assert warmup.steady


def test_thirds_are_compared() -> None:
    assert is_steady([500, 400, 300, 10, 11, 10, 10, 10, 11])
    assert not is_steady([10, 10, 10, 30, 29, 30, 10, 10, 11])
