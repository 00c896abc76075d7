"""The difference of two latencies that were measured in pairs, in milliseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from studio.core.bootstrap import block_length, expansion, resample
from studio.core.frozen import Frozen
from studio.core.statistics import MIN_PAIRS


class Gap(Frozen):
    """Milliseconds by which the variant takes longer (negative: less), with a 95 % interval."""

    milliseconds: float
    low: float
    high: float
    pairs: int

    @property
    def text(self) -> str:
        """Give ``"+1.20 ms (+1.10 to +1.31)"``."""
        return f"{self.milliseconds:+.3f} ms ({self.low:+.3f} to {self.high:+.3f})"


def gap(baseline_ns: Sequence[int], variant_ns: Sequence[int], seed: int = 0) -> Gap:
    """Estimate the difference as the median over the pairs; see `statistics.compare` for the interval.

    Raises
    ------
    ValueError
        When there is no pair, or the lengths differ.
    """
    import numpy as np

    if not baseline_ns or len(baseline_ns) != len(variant_ns):
        raise ValueError("the difference needs pairs of samples")
    values = (np.asarray(variant_ns, dtype=np.float64) - np.asarray(baseline_ns, dtype=np.float64)) / 1e6
    middle = float(np.median(values))
    count = len(values)
    if count < MIN_PAIRS:
        return Gap(milliseconds=middle, low=float(values.min()), high=float(values.max()), pairs=count)
    block = min(max(block_length(np.sign(values - middle)), math.ceil(math.sqrt(count))), count // 3)
    medians = resample(values, lambda rows: np.median(rows, axis=1, overwrite_input=True), seed=seed, block=block)
    wider = expansion(count // block)
    low, high = (middle + (float(end) - middle) * wider for end in np.percentile(medians, (2.5, 97.5)))
    return Gap(milliseconds=middle, low=min(low, middle), high=max(high, middle), pairs=count)
