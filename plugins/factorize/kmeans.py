"""k-means of numbers, weighted: sorted once, so that a round costs no more than the number of centroids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: most rounds; they end when no centroid moves any more
ROUNDS = 100


def cluster(values: NDArray[Any], weights: NDArray[Any] | None, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find centroids for numbers (Lloyd's algorithm), from evenly spaced, filled and weighing starts.

    Parameters
    ----------
    values
        Finite floats, flat.
    weights
        How much each one's squared error counts, not negative; all alike when None.
    count
        Most centroids.

    Returns
    -------
    centroids
        float64, ascending; as many as there are different values when these are fewer.
    indices
        uint8, for each value its centroid.
    """
    import numpy as np

    order = np.argsort(values, kind="stable")
    ordered = values[order].astype(np.float64)
    heavy = np.ones(len(values)) if weights is None else weights[order].astype(np.float64)
    heavy = heavy + max(float(heavy.max(initial=0.0)), 1e-30) * 1e-9
    different = np.unique(ordered)
    if len(different) <= count:
        best = different
    else:
        even = np.linspace(ordered[0], ordered[-1], count)
        steps = (np.arange(count) + 0.5) / count
        filled = np.quantile(different, steps)
        massive = ordered[np.searchsorted(np.cumsum(heavy), steps * heavy.sum()).clip(max=len(ordered) - 1)]
        sums = _Sums(ordered, heavy)
        best = min((sums.settle(start) for start in (even, filled, massive)), key=sums.error)
        best = _with_zero(best, ordered)
    indices = np.empty(len(values), dtype=np.uint8)
    indices[order] = np.searchsorted((best[1:] + best[:-1]) / 2, ordered)
    return best, indices


class _Sums:
    """Running sums of sorted values: what a stretch of them has in all is one difference."""

    def __init__(self, ordered: NDArray[Any], heavy: NDArray[Any]) -> None:
        import numpy as np

        self._ordered = ordered
        self._sums = [np.concatenate([[0.0], np.cumsum(heavy * ordered**power)]) for power in range(3)]

    def settle(self, centroids: NDArray[Any]) -> NDArray[Any]:
        """Move centroids to the mean of what is nearest to them until they stay."""
        import numpy as np

        for _ in range(ROUNDS):
            mass, first, _ = self._stretches(centroids)
            moved = np.sort(np.where(mass > 0, first / np.where(mass > 0, mass, 1.0), centroids))
            if np.allclose(moved, centroids, rtol=1e-9, atol=0):
                return moved
            centroids = moved
        return centroids

    def error(self, centroids: NDArray[Any]) -> float:
        """Give the weighted sum of squared distances."""
        mass, first, second = self._stretches(centroids)
        return float((second - 2 * centroids * first + centroids**2 * mass).sum())

    def _stretches(self, centroids: NDArray[Any]) -> list[NDArray[Any]]:
        import numpy as np

        ends = np.searchsorted(self._ordered, (centroids[1:] + centroids[:-1]) / 2)
        edges = np.concatenate([[0], ends, [len(self._ordered)]])
        return [np.diff(sums[edges]) for sums in self._sums]


def _with_zero(centroids: NDArray[Any], ordered: NDArray[Any]) -> NDArray[Any]:
    """Keep zeros zero where they are many: a pruned model stays pruned."""
    import numpy as np

    zeros = np.searchsorted(ordered, 0.0, "right") - np.searchsorted(ordered, 0.0, "left")
    if zeros * len(centroids) < len(ordered):
        return centroids
    result = centroids.copy()
    result[np.abs(centroids).argmin()] = 0.0
    return np.sort(result)


def entropy_bits(indices: NDArray[Any]) -> float:
    """Give the bits that an ideal entropy coder needs for indices."""
    import numpy as np

    counts = np.bincount(indices.reshape(-1), minlength=1).astype(np.float64)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum() * counts.sum())
