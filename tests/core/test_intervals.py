from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.intervals import fraction_estimate, mean_estimate, paired_fraction, paired_mean, wilson

Floats = NDArray[np.float64]
RUNS = 400


def share(hits: int) -> float:
    return hits / RUNS


def test_wilson_against_published_values() -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3."""
    for successes, samples, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(successes, samples) == pytest.approx((low, high), abs=5e-5)


def test_newcombe_against_published_values() -> None:
    """Newcombe's paper on paired data (1998), method 10 on (e, f, g, h) = (36, 12, 2, 0)."""
    first = np.array([1] * 48 + [0] * 2, float)
    second = np.array([1] * 36 + [0] * 12 + [1] * 2, float)
    assert paired_fraction(first, second) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_all_right_is_not_certain() -> None:
    found = fraction_estimate(np.ones(100))
    assert (found.value, found.high, found.samples) == (1.0, 1.0, 100)
    assert 0.95 < found.low < 0.97


@pytest.mark.parametrize("estimate", [fraction_estimate, lambda scores: mean_estimate(scores, 0, 1)])
def test_no_scores(estimate: Callable[[Floats], object]) -> None:
    with pytest.raises(ValueError, match="no scores"):
        estimate(np.array([]))


def test_one_score_could_mean_anything() -> None:
    found = mean_estimate(np.array([0.5]), -1, 1)
    assert (found.value, found.low, found.high, found.samples) == (0.5, -1, 1, 1)


def test_intervals_end_at_the_bounds() -> None:
    found = mean_estimate(np.array([0.2, 1.0, 1.0]), -1, 1)
    assert found.low >= -1
    assert found.high == 1


@pytest.mark.parametrize(("p", "n"), [(0.5, 30), (0.95, 100), (0.99, 200)])
def test_coverage_of_a_share(p: float, n: int) -> None:
    random = np.random.default_rng(n)
    hits = 0
    for _ in range(RUNS):
        found = fraction_estimate((random.random(n) < p).astype(float))
        hits += found.low <= p <= found.high
    assert 0.92 <= share(hits) <= 0.99


@pytest.mark.parametrize("n", [4, 20, 100, 3000])
def test_coverage_of_a_mean(n: int) -> None:
    random = np.random.default_rng(n)
    hits = 0
    for _ in range(RUNS if n < 3000 else 200):
        found = mean_estimate(random.normal(30, 5, n), -200, 200)
        hits += found.low <= 30 <= found.high
    assert 0.91 <= hits / (RUNS if n < 3000 else 200) <= 0.985


@pytest.mark.parametrize(("worse", "better"), [(0.0, 0.0), (0.05, 0.02), (0.1, 0.1)])
def test_coverage_of_a_paired_difference_of_shares(worse: float, better: float) -> None:
    """A baseline that is right on 90 %; the variant loses `worse` of all samples and wins `better`."""
    random = np.random.default_rng(7)
    hits = 0
    for _ in range(RUNS):
        drawn = random.choice(4, size=200, p=[0.9 - worse, worse, better, 0.1 - better])
        baseline, variant = (drawn <= 1).astype(float), ((drawn == 0) | (drawn == 2)).astype(float)
        low, high = paired_fraction(variant, baseline)
        hits += low <= better - worse <= high
    assert share(hits) >= 0.93


def test_coverage_of_a_paired_difference_of_means() -> None:
    random = np.random.default_rng(8)
    hits = 0
    for _ in range(RUNS):
        baseline = random.normal(30, 5, 60)
        low, high = paired_mean(baseline + random.normal(-0.5, 1, 60), baseline)
        hits += low <= -0.5 <= high
        assert high - low < 1
    assert 0.91 <= share(hits) <= 0.985


def test_a_single_pair_decides_nothing() -> None:
    assert paired_mean(np.array([3.0]), np.array([1.0])) == (-2, 2)
