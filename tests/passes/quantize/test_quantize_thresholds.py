"""Thresholds from histograms, against slow references written straight from the papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plugins.quantize.statistics import BINS, Extremes, Histogram
from plugins.quantize.thresholds import EPSILON, entropy_threshold, percentile_range


def _histogram(method: Any, values: NDArray[Any], parts: int = 7) -> Histogram:
    extremes = Extremes()
    for part in np.array_split(values, parts):
        extremes.update(part)
    histogram = Histogram(method, extremes)
    for part in np.array_split(values, parts):
        histogram.update(part)
    return histogram


def _migacz(counts: NDArray[Any], highest: float, levels: int, step: int) -> float:
    """The algorithm of the TensorRT slides, bin by bin."""
    counts = np.concatenate([counts[1:2], counts[1:]])
    bins, best = len(counts), (np.inf, highest)
    for size in [*range(levels, bins, step), bins]:
        reference = [float(count) for count in counts[:size]]
        reference[-1] += float(sum(counts[size:]))
        quantized = [0.0] * size
        for level in range(levels):
            members = [at for at in range(size) if at * levels // size == level]
            filled = [at for at in members if reference[at] > 0]
            for at in filled:
                quantized[at] = sum(float(counts[m]) for m in members) / len(filled)
        p = np.maximum(np.array(reference) / sum(reference), EPSILON / size)
        q = np.maximum(np.array(quantized) / sum(quantized), EPSILON / size)
        p, q = p / p.sum(), q / q.sum()
        divergence = float(sum(a * np.log(a / b) for a, b in zip(p, q, strict=True)))
        best = min(best, (divergence, highest * size / bins))
    return best[1]


@pytest.mark.parametrize("scale", [0.2, 1.0])
@pytest.mark.parametrize("shape", ["normal", "laplace", "exponential"])
def test_entropy_equals_the_reference(shape: str, scale: float) -> None:
    random = np.random.default_rng(3)
    values = np.abs(getattr(random, shape)(size=20_000)) * scale
    counts = np.histogram(values, 256, range=(0, values.max()))[0]
    ours = entropy_threshold(counts, float(values.max()), 32, step=16)
    assert ours == pytest.approx(_migacz(counts, float(values.max()), 32, 16))


def test_entropy_clips_a_far_outlier_and_keeps_a_uniform_distribution() -> None:
    random = np.random.default_rng(0)
    body = random.normal(0, 1, 200_000)
    low, high = _histogram("entropy", np.append(body, 60.0)).range(100)
    assert 2.5 < high < 12
    assert low == pytest.approx(body.min(), abs=1e-6) or low == pytest.approx(-high)
    assert _histogram("entropy", random.uniform(0, 1, 200_000)).range(100)[1] > 0.95


@pytest.mark.parametrize("percentile", [99.0, 99.9])
def test_percentile_is_that_of_numpy_within_a_bin(percentile: float) -> None:
    values = np.random.default_rng(1).normal(1, 2, 300_000)
    low, high = _histogram("percentile", values).range(percentile)
    cut = (100 - percentile) / 2
    width = (values.max() - values.min()) / BINS
    expected = np.percentile(values, [cut, 100 - cut])
    assert abs(low - expected[0]) <= width
    assert abs(high - expected[1]) <= width


def test_percentile_of_100_keeps_all() -> None:
    values = np.random.default_rng(1).normal(0, 1, 10_000)
    low, high = _histogram("percentile", values).range(100)
    assert [low, high] == pytest.approx([values.min(), values.max()])


def test_constant_and_empty_tensors_have_a_range() -> None:
    for method in ("percentile", "entropy"):
        assert _histogram(method, np.full(10, 3.0)).range(99) == (3.0, 3.0)
        assert _histogram(method, np.zeros(0)).range(99) == (0.0, 0.0)
    assert percentile_range(np.zeros(8, np.int64), 1.0, 2.0, 99) == (1.0, 2.0)


def test_counts_do_not_depend_on_how_the_values_are_split() -> None:
    values = np.random.default_rng(2).normal(0, 1, 10_001).astype(np.float32)
    one, many = _histogram("percentile", values, 1), _histogram("percentile", values, 100)
    assert np.array_equal(one.counts, many.counts)
    assert one.counts.sum() == len(values)


def test_values_that_are_not_finite_are_noticed() -> None:
    extremes = Extremes()
    extremes.update(np.array([1.0, np.nan]))
    assert not extremes.finite
    other = Extremes()
    other.update(np.array([1.0, -np.inf]))
    assert not other.finite


def test_entropy_keeps_what_stands_out_from_a_flat_background() -> None:
    # a picture: most of it background, a few per cent white, as in digits
    random = np.random.default_rng(0)
    values = np.where(random.uniform(size=200_000) < 0.9, -0.4, random.choice([1.5, 2.8], 200_000))
    low, high = _histogram("entropy", values).range(100)
    assert low == pytest.approx(-0.4)
    assert high == pytest.approx(2.8, rel=0.01)
