from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.errors import DataError
from studio.core.intervals import mcnemar, paired_p, wilson
from studio.core.setmetric import paired_statistic, set_estimate


def mean(values: NDArray[Any]) -> Any:
    return lambda weights: float(weights @ values / weights.sum())


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    found = set_estimate(mean(values), 400, 400, -math.inf, math.inf)
    spread = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - spread, abs=0.15 * spread)
    assert found.high == pytest.approx(values.mean() + spread, abs=0.15 * spread)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """95 % of 120 intervals: fewer than 105 happen once in some 3,000 times."""
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(120):
        values = random.exponential(1, 60)
        found = set_estimate(mean(values), 60, 2_000_000, 0, math.inf)
        covered += found.low <= 1 <= found.high
    assert covered >= 105


def test_a_statistic_that_never_varies_has_wilsons_interval() -> None:
    found = set_estimate(mean(np.ones(20)), 20, 20, 0.0, 1.0)
    assert (found.low, found.high) == wilson(20, 20)


def test_a_statistic_without_a_value_is_refused() -> None:
    with pytest.raises(DataError, match=r"AUC is undefined on these 5 samples"):
        set_estimate(lambda weights: float("nan"), 5, 5, 0, 1, "AUC")


def test_pairs_cancel_what_both_models_share() -> None:
    random = np.random.default_rng(3)
    hard = random.normal(0, 10, 200)
    better = hard + 0.5 + random.normal(0, 0.5, 200)
    low, high, p = paired_statistic(mean(better), mean(hard), 200, 200)
    assert 0.3 < low < 0.5 < high < 0.7
    assert p < 0.01
    low, high, p = paired_statistic(mean(random.permutation(hard)), mean(hard), 200, 200)
    assert low < 0 < high
    assert p > 0.5


@pytest.mark.parametrize(
    ("only", "wanted"),
    [((1, 12), 0.00183), ((5, 5), 1.0), ((0, 0), 1.0), ((0, 6), 0.015625), ((7, 25), 0.0013)],
)
def test_mcnemar_mid_p(only: tuple[int, int], wanted: float) -> None:
    """The binomial tail, half of the observed case: 2 P(X < k) + P(X = k)."""
    first, second = only
    variant = np.array([1.0] * first + [0.0] * second + [1.0] * 30)
    baseline = np.array([0.0] * first + [1.0] * second + [1.0] * 30)
    n, k = first + second, min(only)
    exact = sum(math.comb(n, i) for i in range(k)) * 2 + math.comb(n, k)
    assert mcnemar(variant, baseline) == pytest.approx(1.0 if first == second else exact / 2**n)
    assert mcnemar(variant, baseline) == pytest.approx(wanted, rel=0.15)
    assert mcnemar(baseline, variant) == mcnemar(variant, baseline)


def test_mcnemar_of_many_samples_does_not_vanish() -> None:
    variant = np.r_[np.ones(2000), np.zeros(2000)]
    assert mcnemar(variant, 1 - variant) == 1.0
    variant = np.r_[np.ones(2050), np.zeros(1950)]
    assert 0.1 < mcnemar(variant, 1 - variant) < 0.12


def test_the_p_value_of_a_mean_difference() -> None:
    random = np.random.default_rng(4)
    base = random.normal(size=300)
    assert paired_p(base, base) == 1.0
    assert paired_p(base + 1 + random.normal(size=300), base) < 0.01
    assert paired_p(base + random.normal(0, 1, 300), base) > 0.01
