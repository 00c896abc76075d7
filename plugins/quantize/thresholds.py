"""Clipping thresholds from histograms of activations.

Sources: S. Migacz, "8-bit Inference with TensorRT", GTC 2017 (entropy); H. Wu et al., "Integer
Quantization for Deep Learning Inference", arXiv:2004.09602 (percentile).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: what empty bins are given so that the divergence stays finite, as in ONNX Runtime
EPSILON = 1e-4


def percentile_range(counts: NDArray[Any], low: float, high: float, percentile: float) -> tuple[float, float]:
    """Give the range that keeps `percentile` per cent of the values, cutting both ends alike.

    Parameters
    ----------
    counts
        Histogram of equal bins between `low` and `high`, shape ``(bins,)``, integer.
    low, high
        Smallest and largest value seen.
    percentile
        Between 50 and 100; 100 keeps all.
    """
    import numpy as np

    total = counts.sum()
    if not total or high <= low:
        return low, high
    edges = np.linspace(low, high, len(counts) + 1)
    share = np.cumsum(counts) / total
    cut = (100.0 - percentile) / 200.0
    # the left edge of the bin where the cut falls, and the right edge on the other side
    left = int(np.searchsorted(share, cut, side="right"))
    right = int(np.searchsorted(share, 1.0 - cut, side="left"))
    return float(edges[min(left, len(counts) - 1)]), float(edges[min(right + 1, len(counts))])


def entropy_threshold(counts: NDArray[Any], highest: float, levels: int, step: int = 8) -> float:
    """Find the threshold of least Kullback-Leibler divergence.

    For each candidate, values beyond it are clipped into the last bin (the reference distribution);
    the bins below are merged into `levels` levels and spread again over the bins that were not empty
    (the quantized one). The first bin is given the count of the second, as NVIDIA's calibrators do:
    the zeros that a Relu makes are exact at any scale and would outweigh everything else.

    Parameters
    ----------
    counts
        Histogram of absolute values in equal bins between 0 and `highest`, shape ``(bins,)``.
    highest
        Largest absolute value.
    levels
        Quantized levels on this side of zero: 128 when values have both signs, 256 when one.
    step
        Candidates are this many bins apart.

    Returns
    -------
    float
        The threshold, between 0 and `highest`.
    """
    import numpy as np

    bins = len(counts)
    if bins <= levels:
        return highest
    counts = np.concatenate([counts[1:2], counts[1:]])
    if not counts.any():
        return highest
    candidates = [*range(levels, bins, step), bins]
    divergences = [_divergence(counts, size, levels) for size in candidates]
    return float(highest * candidates[int(np.argmin(divergences))] / bins)


def _divergence(counts: NDArray[Any], size: int, levels: int) -> float:
    """Give KL(reference || quantized) of the first `size` bins."""
    import numpy as np

    inside = counts[:size].astype(np.float64)
    reference = inside.copy()
    reference[-1] += counts[size:].sum()
    occupied = reference > 0
    level = np.arange(size) * levels // size
    sums = np.bincount(level, weights=inside, minlength=levels)
    filled = np.bincount(level, weights=occupied, minlength=levels)
    quantized = np.where(occupied, (sums / np.maximum(filled, 1))[level], 0.0)
    if not inside.any():
        return float("inf")
    smooth, spread = _smoothed(reference), _smoothed(quantized)
    return float(np.sum(smooth * np.log(smooth / spread)))


def _smoothed(counts: NDArray[Any]) -> NDArray[Any]:
    """Turn counts into a distribution without zeros."""
    import numpy as np

    share = counts / counts.sum()
    share = np.maximum(share, EPSILON / len(counts))
    return np.asarray(share / share.sum())
