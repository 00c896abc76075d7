"""The ratio of a pair while it is measured: cheap, since it is worked out beside what is measured. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from studio.core.statistics import MIN_PAIRS, RELEVANT, RatioEstimate, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: half the width of a 95 % interval in standard errors
Z = 1.96
#: points of the curve of a pair that was measured before
POINTS = 60


def running_ratio(baseline_ns: Sequence[float], variant_ns: Sequence[float]) -> RatioEstimate | None:
    """Estimate how many times faster the variant is so far; None before the first pair.

    Notes
    -----
    The estimator is that of `studio.core.statistics.compare`. The interval is that of the median by order
    statistics (David and Nagaraja, "Order Statistics", 2003), widened by how much more the means of blocks of
    sqrt(n) signs vary than independent signs would. It takes a sort in place of a bootstrap; the final figure
    is the bootstrap's.
    """
    import numpy as np

    count = min(len(baseline_ns), len(variant_ns))
    if not count:
        return None
    logs = np.log(np.asarray(baseline_ns[:count], np.float64) / np.asarray(variant_ns[:count], np.float64))
    ordered = np.sort(logs)
    middle = float(np.median(ordered))
    if count < MIN_PAIRS:
        low, high = float(ordered[0]), float(ordered[-1])
    else:
        half = Z * math.sqrt(count * _inflation(np.sign(logs - middle))) / 2
        low = float(ordered[max(0, math.floor(count / 2 - half))])
        high = float(ordered[min(count - 1, math.ceil(count / 2 + half))])
    ratio, low, high = math.exp(middle), math.exp(low), math.exp(high)
    return RatioEstimate(ratio=ratio, low=low, high=high, verdict=_verdict(ratio, low, high, count), pairs=count)


def curve(baseline_ns: Sequence[float], variant_ns: Sequence[float]) -> Iterator[RatioEstimate]:
    """Give the estimates as they were while pairs came in, the last with all of them."""
    count = min(len(baseline_ns), len(variant_ns))
    for pairs in sorted({max(1, count * step // POINTS) for step in range(1, POINTS + 1)} if count else ()):
        found = running_ratio(baseline_ns[:pairs], variant_ns[:pairs])
        if found is not None:
            yield found


def _inflation(signs: NDArray[np.float64]) -> float:
    """Give how many times the variance of their mean is that of independent signs; 1 at least."""
    size = math.isqrt(len(signs))
    blocks = len(signs) // size
    spread = float(signs.var())
    if blocks < 3 or spread == 0:
        return 1.0
    means = signs[: blocks * size].reshape(blocks, size).mean(axis=1)
    return max(1.0, float(means.var(ddof=1)) * size / spread)


def _verdict(ratio: float, low: float, high: float, pairs: int) -> Verdict:
    if pairs < MIN_PAIRS or low <= 1 <= high or max(ratio, 1 / ratio) < 1 + RELEVANT:
        return "no significant difference"
    return "faster" if ratio > 1 else "slower"
