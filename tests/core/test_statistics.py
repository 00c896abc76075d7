from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.bootstrap import block_length, resample, student_t
from studio.core.statistics import P90_FLOOR, P99_FLOOR, compare, percentile_floor, summarize

Floats = NDArray[np.float64]


def noise(random: np.random.Generator, n: int, memory: float = 0.0) -> Floats:
    """Latency noise: jitter that remembers its neighbours, and a tail of interruptions; a factor around 1."""
    steps = random.normal(size=n) * 0.05
    for i in range(1, n):
        steps[i] += memory * steps[i - 1]
    interrupted = random.random(n) < 0.05
    return np.asarray(np.exp(steps + interrupted * random.exponential(0.5, n)))


def drift(random: np.random.Generator, n: int) -> Floats:
    """What slows the machine down for longer than a pair, by up to a fifth."""
    return np.exp(0.2 * np.sin(np.linspace(0, 3, n) + 6 * random.random()) + random.normal(size=n).cumsum() * 0.01)


def as_ns(latencies: Floats) -> list[int]:
    return [round(value) for value in latencies * 1e6]


def test_percentile_floors_are_those_of_mlperf() -> None:
    assert (percentile_floor(0.9), percentile_floor(0.99)) == (P90_FLOOR, P99_FLOOR) == (64, 662)


def test_summary_of_known_samples() -> None:
    found = summarize([1_000_000 * i for i in range(1, 101)], batch=4)
    assert (found.samples, found.min_ms, found.max_ms) == (100, 1.0, 100.0)
    assert found.mean_ms == pytest.approx(50.5)
    assert found.p50_ms == pytest.approx(50.5)
    assert found.p90_ms == pytest.approx(90.1)
    assert found.stdev_ms == pytest.approx(np.std(np.arange(1, 101), ddof=1))
    assert found.throughput_per_s == pytest.approx(4 * 1000 / 50.5)


@pytest.mark.parametrize(
    ("n", "p90", "p99"), [(1, False, False), (63, False, False), (64, True, False), (662, True, True)]
)
def test_percentiles_say_whether_they_are_supported(n: int, p90: bool, p99: bool) -> None:
    found = summarize([5] * n)
    assert (found.p90_supported, found.p99_supported) == (p90, p99)
    assert found.stdev_ms == pytest.approx(0.0)


@pytest.mark.parametrize("samples", [[], [5, 0], [-1]])
def test_samples_that_are_no_latencies(samples: list[int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        summarize(samples)


def test_compare_finds_the_ratio_through_drift_and_outliers() -> None:
    random = np.random.default_rng(1)
    common = drift(random, 300)
    found = compare(as_ns(1.42 * common * noise(random, 300)), as_ns(common * noise(random, 300)), seed=3)
    assert found.low < 1.42 < found.high
    assert found.verdict == "faster"
    assert found.pairs == 300
    assert found.text == f"{found.ratio:.2f}x ({found.low:.2f}-{found.high:.2f})"
    assert found.high - found.low < 0.1


def test_compare_is_deterministic_and_inverts_when_the_models_are_swapped() -> None:
    random = np.random.default_rng(2)
    first, second = as_ns(noise(random, 80)), as_ns(1.3 * noise(random, 80))
    there, back = compare(first, second, 7), compare(second, first, 7)
    assert there == compare(first, second, 7)
    assert (there.verdict, back.verdict) == ("slower", "faster")
    assert back.ratio == pytest.approx(1 / there.ratio)


def test_a_difference_below_two_per_cent_is_not_called_one() -> None:
    baseline = [1_000_000 + i for i in range(100)]
    assert compare(baseline, [round(value / 1.019) for value in baseline]).verdict == "no significant difference"
    assert compare(baseline, [round(value / 1.03) for value in baseline]).verdict == "faster"


def test_few_pairs_decide_nothing() -> None:
    found = compare([200, 210, 220, 230, 240], [100] * 5)
    assert found.verdict == "no significant difference"
    assert (found.low, found.high) == pytest.approx((2.0, 2.4))
    assert compare([200, 210, 220, 230, 240, 250], [100] * 6).verdict == "faster"


@pytest.mark.parametrize(("baseline", "variant"), [([1, 2], [1]), ([], []), ([1], [0])])
def test_samples_that_are_no_pairs(baseline: list[int], variant: list[int]) -> None:
    with pytest.raises(ValueError, match=r"paired|positive"):
        compare(baseline, variant)


def test_tiny_ratios_keep_their_digits() -> None:
    assert compare([10] * 10, [800] * 10).text == "0.013x (0.013-0.013)"


@pytest.mark.parametrize(("n", "memory"), [(20, 0.0), (60, 0.3), (200, 0.3), (200, 0.6)])
def test_equal_models_are_called_equal(n: int, memory: float) -> None:
    """200 comparisons of a model with itself: the share of false alarms of a 95 % interval, give or take chance."""
    random = np.random.default_rng(n)
    calm = 0
    for run in range(200):
        common = drift(random, n)
        pair = [as_ns(common * noise(random, n, memory)) for _ in range(2)]
        calm += compare(pair[0], pair[1], run).verdict == "no significant difference"
    assert calm >= 0.93 * 200


def test_the_interval_covers_the_true_ratio() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for run in range(200):
        common = drift(random, 100)
        found = compare(as_ns(1.1 * common * noise(random, 100)), as_ns(common * noise(random, 100)), run)
        covered += found.low <= 1.1 <= found.high
    assert 0.92 * 200 <= covered <= 0.99 * 200


def test_blocks_follow_the_autocorrelation() -> None:
    random = np.random.default_rng(0)
    independent = random.normal(size=1000)
    sticky = np.repeat(random.normal(size=100), 10)
    assert block_length(independent) <= 5
    assert block_length(sticky) >= 10
    assert block_length(np.zeros(50)) == 1
    assert block_length(np.arange(5.0)) == 1


def test_resampling_keeps_neighbours_together_and_is_seeded() -> None:
    values = np.arange(12.0)
    rows: list[Floats] = []

    def keep(block: Floats) -> Floats:
        rows.extend(block)
        return np.asarray(block.mean(axis=1))

    first = resample(values, keep, seed=4, block=4, resamples=50)
    assert all(row[i + 1] == (row[i] + 1) % 12 for row in rows for i in range(12) if i % 4 != 3)
    assert np.array_equal(first, resample(values, keep, seed=4, block=4, resamples=50))
    assert not np.array_equal(first, resample(values, keep, seed=5, block=4, resamples=50))


@pytest.mark.parametrize(("freedom", "expected"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (9, 2.2622), (100, 1.9840)])
def test_student_t_against_the_table(freedom: int, expected: float) -> None:
    assert student_t(freedom) == pytest.approx(expected, rel=2e-3)
