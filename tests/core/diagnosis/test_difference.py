"""The difference in milliseconds and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from studio.core.diagnosis.difference import gap
from studio.core.diagnosis.roofline import Rates, best_ns, bound
from tests.core.diagnosis.layers import layer


def test_drift_cancels_and_the_interval_holds_the_truth() -> None:
    random = np.random.default_rng(0)
    drift = np.linspace(1e6, 3e6, 200)
    before = drift + random.normal(0, 2e4, 200)
    found = gap([int(value) for value in before], [int(value) for value in drift + 5e5 + random.normal(0, 2e4, 200)])
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.05
    assert found.pairs == 200


def test_few_pairs_have_their_range_and_none_is_an_error() -> None:
    found = gap([1_000_000, 1_000_000], [1_500_000, 1_700_000])
    assert (found.low, found.high) == (0.5, 0.7)
    with pytest.raises(ValueError, match="pairs"):
        gap([], [])


def test_the_roofline() -> None:
    rates = Rates(macs_per_s={"f32": 1e11}, bytes_per_s=1e10, dispatch_ns=1000)
    assert bound(layer("a", 1.0, macs=10**8, bytes=1000), rates) == "compute"
    assert bound(layer("a", 1.0, macs=1000, bytes=10**7), rates) == "memory"
    assert bound(layer("a", 0.001, macs=1000), rates) == "dispatch"
    assert bound(layer("a", 1.0, macs=1000, bytes=10**7), None) == "unknown"
    assert best_ns(layer("a", 1.0, macs=10**8, bytes=10**8), rates) == pytest.approx(1e7)
