"""What every metric must do, over all that the bundled plugins register."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.core.metric import Estimate, Metric
from studio.core.registry import scan

REGISTRY = scan(Path(__file__).parents[2] / "plugins")
SAMPLES, CLASSES = 40, 8


@pytest.fixture(params=REGISTRY.ids("metric"))
def metric(request: pytest.FixtureRequest) -> Metric:
    return REGISTRY.get_metric(request.param)


def scores(metric: Metric, noise: float, dtype: str = "float32") -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Score class scores that are right but for some noise."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, SAMPLES)
    right = 5 * np.eye(CLASSES)[labels] + random.random((SAMPLES, CLASSES))
    outputs = {"logits": (right + noise * random.normal(size=right.shape)).astype(dtype)}
    found = metric.scores(
        outputs,
        labels if metric.needs_labels else None,
        {"logits": right.astype(dtype)} if metric.needs_reference else None,
    )
    return np.asarray(found)


def test_it_says_what_it_is(metric: Metric) -> None:
    assert REGISTRY.title("metric", metric.id) == metric.title
    assert metric.unit in ("fraction", "dB", "")
    assert metric.needs_labels or metric.needs_reference


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_each_sample_has_a_finite_score(metric: Metric, dtype: str) -> None:
    found = scores(metric, 0.1, dtype)
    assert found.shape == (SAMPLES,)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()


def test_worse_outputs_score_worse(metric: Metric) -> None:
    good, bad = scores(metric, 0.0).mean(), scores(metric, 50.0).mean()
    assert good > bad if metric.higher_is_better else good < bad


def test_the_estimate_is_the_mean_within_its_interval(metric: Metric) -> None:
    found = scores(metric, 3.0)
    estimate = metric.estimate(found)
    assert isinstance(estimate, Estimate)
    assert estimate.samples == SAMPLES
    assert estimate.value == pytest.approx(found.mean())
    assert estimate.low < estimate.value < estimate.high
    assert estimate == metric.estimate(found)


def test_more_samples_narrow_the_interval(metric: Metric) -> None:
    found = scores(metric, 3.0)
    few, many = metric.estimate(found), metric.estimate(np.tile(found, 25))
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_one_score_is_an_estimate_too(metric: Metric) -> None:
    estimate = metric.estimate(scores(metric, 0.0)[:1])
    assert estimate.samples == 1
    assert estimate.low < estimate.high
    assert estimate.low <= estimate.value <= estimate.high
