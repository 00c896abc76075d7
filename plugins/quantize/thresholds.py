"""Clipping thresholds from histograms of activations.

Sources: S. Migacz, "8-bit Inference with TensorRT", GTC 2017 (entropy); H. Wu et al., "Integer
Quantization for Deep Learning Inference", arXiv:2004.09602 (percentile); R. Banner et al., "Post-training
4-bit quantization of convolution networks for rapid-deployment", arXiv:1810.05723 (least squared error).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: what empty bins are given so that the divergence stays finite, as in ONNX Runtime
EPSILON = 1e-4
#: edges that the search for the least squared error tries at each end, and how often it turns
SEARCHED = 256
_TURNS = 4


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


def mse_range(counts: NDArray[Any], low: float, high: float, levels: int) -> tuple[float, float]:
    """Find the range of least squared error: what rounding inside it costs plus what clipping beyond it costs.

    Both ends are moved in turn over the edges of the bins, from the whole range, until neither gains.

    Parameters
    ----------
    counts
        Histogram of equal bins between `low` and `high`, shape ``(bins,)``, integer.
    low, high
        Smallest and largest value seen; zero stays inside the range when it is inside theirs.
    levels
        Quantized levels of the whole range.
    """
    import numpy as np

    bins = len(counts)
    if high <= low or not counts.any():
        return low, high
    edges = np.linspace(low, high, bins + 1)
    share = counts / counts.sum()
    left_limit = int(np.searchsorted(edges, min(0.0, high), side="right")) - 1 if low < 0 else 0
    right_limit = int(np.searchsorted(edges, max(0.0, low), side="left")) if high > 0 else bins
    lefts = np.unique(np.linspace(0, max(0, min(left_limit, bins - 1)), SEARCHED).astype(int))
    rights = np.unique(np.linspace(max(1, right_limit), bins, SEARCHED).astype(int))
    middles = (edges[:-1] + edges[1:]) / 2
    left, right = 0, bins
    for _ in range(_TURNS):
        before = (left, right)
        right = min(rights[rights > left], key=lambda end: _squared_error(share, middles, edges, left, end, levels))
        left = min(lefts[lefts < right], key=lambda end: _squared_error(share, middles, edges, end, right, levels))
        if (left, right) == before:
            break
    return float(edges[left]), float(edges[right])


def _squared_error(
    share: NDArray[Any], middles: NDArray[Any], edges: NDArray[Any], left: int, right: int, levels: int
) -> float:
    """Give the mean squared error of quantizing the range between two edges.

    A value between two levels is off by a uniform error, a twelfth of the step squared; exact zeros, which
    a Relu makes by the million, are exact at any scale, so the bin that begins or ends there costs nothing.
    """
    import numpy as np

    low, high = float(edges[left]), float(edges[right])
    step = (max(high, 0.0) - min(low, 0.0)) / (levels - 1)
    inside = share[left:right]
    exact = (edges[left:right] <= 0) & (edges[left + 1 : right + 1] >= 0)
    rounding = float(inside[~exact].sum()) * step * step / 12
    below = float(np.sum(share[:left] * (low - middles[:left]) ** 2))
    above = float(np.sum(share[right:] * (middles[right:] - high) ** 2))
    return rounding + below + above


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
