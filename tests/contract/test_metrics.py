"""What every metric must do, over all that the bundled plugins register."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.core.errors import DataError
from studio.core.evaluate import compare_records, compare_scores
from studio.core.evaluation import Difference
from studio.core.metric import Estimate, Metric
from studio.core.registry import scan
from studio.core.setmetric import SetMetric, ragged

REGISTRY = scan(Path(__file__).parents[2] / "plugins")
SAMPLES, CLASSES = 40, 8
Case = tuple[dict[str, NDArray[Any]], NDArray[Any] | None, dict[str, NDArray[Any]] | None]


@pytest.fixture(params=REGISTRY.ids("metric"))
def metric(request: pytest.FixtureRequest) -> Metric:
    return REGISTRY.get_metric(request.param)


def classes(noise: float, dtype: str, samples: int) -> Case:
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, samples)
    right = 5 * np.eye(CLASSES)[labels] + random.random((samples, CLASSES))
    return {"logits": (right + noise * random.normal(size=right.shape)).astype(dtype)}, labels, {"logits": right}


def targets(noise: float, dtype: str, samples: int) -> Case:
    random = np.random.default_rng(0)
    wanted = random.normal(size=samples)
    return {"y": (wanted + (0.1 + noise) * random.normal(size=samples)).astype(dtype)[:, None]}, wanted, None


def texts(noise: float, dtype: str, samples: int) -> Case:
    random = np.random.default_rng(0)
    labels, found = [], []
    for _ in range(samples):
        letters = random.choice(list("abc d"), 30)
        labels.append("a" + "".join(letters))
        wrong = random.random(30) < min(0.9, 0.02 + noise / 5)
        found.append("a" + "".join(np.where(wrong, "x", letters)))
    return {"text": np.array(found, object)}, _objects(labels), None


def boxes(noise: float, dtype: str, samples: int) -> Case:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 50, (samples, 4, 2))
    truth = np.concatenate([corners, corners + random.uniform(20, 40, (samples, 4, 2))], axis=2)
    kinds = random.integers(0, 3, (samples, 4))
    moved = truth + (0.5 + noise) * random.normal(size=truth.shape)
    labels = ragged([np.concatenate([b, k[:, None]], axis=1) for b, k in zip(truth, kinds, strict=True)])
    scores = random.uniform(0.1, 1, (samples, 4)).astype(dtype)
    return {"boxes": moved.astype(dtype), "scores": scores, "labels": kinds}, labels, None


def masks(noise: float, dtype: str, samples: int) -> Case:
    random = np.random.default_rng(0)
    truth = random.integers(-1, 3, (samples, 6, 6))
    scores = np.eye(3)[np.clip(truth, 0, 2)].transpose(0, 3, 1, 2)
    return {"map": (scores + (0.3 + noise) * random.normal(size=scores.shape)).astype(dtype)}, ragged(list(truth)), None


def _objects(rows: list[Any]) -> NDArray[Any]:
    made = np.empty(len(rows), object)
    made[:] = rows
    return made


#: a new kind of labels is tested once it has a case here
CASES = {"class": classes, "target": targets, "text": texts, "boxes": boxes, "mask": masks}


def scores(metric: Metric, noise: float, dtype: str = "float32", samples: int = SAMPLES) -> NDArray[Any]:
    """Score outputs that are right but for some noise."""
    kind = next(kind for kind in CASES if kind in metric.label_kinds)
    outputs, labels, reference = CASES[kind](noise, dtype, samples)
    return metric.scores(
        outputs, labels if metric.needs_labels else None, reference if metric.needs_reference else None
    )


def difference(metric: Metric, variant: NDArray[Any], baseline: NDArray[Any]) -> Difference:
    if isinstance(metric, SetMetric):
        return compare_records(metric, variant, baseline)
    return compare_scores(variant, baseline)


def test_it_says_what_it_is(metric: Metric) -> None:
    assert REGISTRY.title("metric", metric.id) == metric.title
    assert metric.unit in ("fraction", "dB", "nats", "")
    assert metric.needs_labels or metric.needs_reference
    assert (metric.name, metric.heading) == (metric.id, metric.title)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_each_sample_has_a_finite_score(metric: Metric, dtype: str) -> None:
    found = scores(metric, 0.1, dtype)
    assert len(found) == SAMPLES
    figures = metric.figures(found) if isinstance(metric, SetMetric) else found
    assert figures.shape == (SAMPLES,)
    assert figures.dtype == np.float64
    assert np.isfinite(figures).all()


def test_worse_outputs_score_worse(metric: Metric) -> None:
    good, bad = (metric.estimate(scores(metric, noise)).value for noise in (0.0, 50.0))
    assert good > bad if metric.higher_is_better else good < bad


def test_the_estimate_lies_within_its_interval(metric: Metric) -> None:
    found = scores(metric, 3.0)
    estimate = metric.estimate(found)
    assert isinstance(estimate, Estimate)
    assert estimate.samples == SAMPLES
    if not isinstance(metric, SetMetric):
        assert estimate.value == pytest.approx(found.mean())
    assert estimate.low < estimate.value < estimate.high
    assert estimate == metric.estimate(found)


def test_more_samples_narrow_the_interval(metric: Metric) -> None:
    few, many = (metric.estimate(scores(metric, 3.0, samples=samples)) for samples in (SAMPLES, 6 * SAMPLES))
    assert many.high - many.low < 0.75 * (few.high - few.low)


def test_one_score_is_an_estimate_or_undefined(metric: Metric) -> None:
    try:
        estimate = metric.estimate(scores(metric, 0.0)[:1])
    except DataError as error:
        assert "undefined" in error.message
        return
    assert estimate.samples == 1
    assert estimate.low < estimate.high
    assert estimate.low <= estimate.value <= estimate.high


def test_the_difference_from_itself_is_none_and_from_garbage_significant(metric: Metric) -> None:
    good, bad = scores(metric, 0.0), scores(metric, 50.0)
    same = difference(metric, good, good)
    assert (same.value, same.significant, same.p) == (0.0, False, 1.0)
    worse = difference(metric, bad, good)
    assert worse.significant
    assert worse.p is not None
    assert worse.p < 0.01
    assert (worse.value < 0) == metric.higher_is_better
    assert worse.low <= worse.value <= worse.high
