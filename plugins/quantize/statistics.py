"""Running statistics of activations: their memory does not depend on the number of samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .thresholds import entropy_threshold, mse_range, percentile_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

Method = Literal["minmax", "percentile", "entropy", "mse"]
BINS = 2048
#: values that one array adds to a histogram at most
MOST_VALUES = 1 << 18
#: the entropy method clips at most this per cent of the values: its divergence misjudges values that pile up
#: at few places, such as the background of an image, and would clip what the picture shows
MOST_CLIPPED = 0.1


@dataclass
class Extremes:
    """Smallest and largest value of a tensor so far, and whether all were finite."""

    low: float = math.inf
    high: float = -math.inf
    finite: bool = True

    def update(self, values: NDArray[Any]) -> None:
        """Take in an array of any shape."""
        import numpy as np

        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            self.finite = False
            return
        self.low, self.high = min(self.low, low), max(self.high, high)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest; zeros when no value was seen."""
        return (self.low, self.high) if self.low <= self.high else (0.0, 0.0)


@dataclass
class Histogram:
    """Counts of a tensor's values in `BINS` equal bins; of absolute values for the entropy method.

    `levels` is how many the quantized range will have.
    """

    method: Method
    extremes: Extremes
    levels: int = 256
    counts: Any = field(init=False)

    def __post_init__(self) -> None:
        import numpy as np

        self.counts = np.zeros(BINS, dtype=np.int64)

    def update(self, values: NDArray[Any]) -> None:
        """Take in an array of any shape whose values lie in the range of `extremes`."""
        import numpy as np

        low, high = self.extremes.range
        if not values.size or high <= low:
            return
        if values.size > MOST_VALUES:  # evenly drawn; the extremes have seen all
            values = values.reshape(-1)[:: -(-values.size // MOST_VALUES) | 1]
        if self.method == "entropy":
            values, low, high = np.abs(values), 0.0, max(abs(low), abs(high))
        self.counts += np.histogram(values, BINS, range=(low, high))[0]

    def range(self, percentile: float) -> tuple[float, float]:
        """Give the range to quantize, inside the range that was seen."""
        low, high = self.extremes.range
        if high <= low:
            return low, high
        if self.method == "percentile":
            return percentile_range(self.counts, low, high, percentile)
        if self.method == "mse":
            return mse_range(self.counts, low, high, self.levels)
        one_sided = low >= 0 or high <= 0
        largest = max(abs(low), abs(high))
        kept = percentile_range(self.counts, 0.0, largest, 100.0 - 2 * MOST_CLIPPED)[1]
        threshold = max(kept, entropy_threshold(self.counts, largest, 256 if one_sided else 128))
        return max(low, -threshold), min(high, threshold)
