"""The samples of one model on one device as they come, ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: points drawn of one series: more than the pixels of a chart cost time and show nothing
POINTS = 600
#: samples kept for drawing; the measurement itself keeps all
KEPT = 20_000
BINS = 48


class LiveSeries:
    """Latencies in milliseconds, warm-up apart."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.warmup: list[float] = []
        self.steady: list[float] = []

    def add(self, values: Sequence[int], phase: str) -> None:
        """Take samples in nanoseconds; `phase` is ``"warmup"`` or ``"steady"``."""
        target = self.warmup if phase == "warmup" else self.steady
        target.extend(value / 1e6 for value in values)
        del target[:-KEPT]

    @property
    def median(self) -> float | None:
        """Median of the steady samples in milliseconds; None before the first."""
        ordered = sorted(self.steady[-2001:])
        return ordered[len(ordered) // 2] if ordered else None

    def line(self) -> tuple[Floats, Floats]:
        """Give x (sample number, warm-up negative) and y (milliseconds) with at most `POINTS` points.

        Where there are more samples, each point is the median of its neighbours.
        """
        import numpy as np

        values = np.asarray([*self.warmup, *self.steady], dtype=np.float64)
        numbers = np.arange(len(values), dtype=np.float64) - len(self.warmup)
        step = -(-len(values) // POINTS) if len(values) else 1
        if step < 2:
            return numbers, values
        whole = len(values) // step * step
        return numbers[:whole:step] + (step - 1) / 2, np.median(values[:whole].reshape(-1, step), axis=1)

    def density(self, low: float, high: float) -> tuple[Floats, Floats]:
        """Give the edges and the share of steady samples in each of `BINS` bins over a range in milliseconds."""
        import numpy as np

        counts, edges = np.histogram(np.clip(self.steady, low, high), bins=BINS, range=(low, high))
        return edges, counts / max(1, len(self.steady))


def _upper(values: Any) -> float:
    """Give the 95th percentile, or the outer fence (Tukey, "Exploratory Data Analysis", 1977) where it is lower."""
    import numpy as np

    median, high, most = (float(value) for value in np.percentile(values, (50, 75, 95)))
    # the upper half alone: a spread of nothing still leaves room around the median
    return min(most, median + 6 * max(high - median, 0.05 * median))


def common_range(series: Sequence[LiveSeries]) -> tuple[float, float] | None:
    """Give a range of milliseconds for the charts of all series; None without samples.

    It holds nearly all steady samples, but for outliers beyond Tukey's outer fence: what other programs
    disturb must not flatten what is compared.
    """
    import numpy as np

    arrays: list[Any] = [item.steady for item in series if item.steady]
    if not arrays:
        return None
    low = min(float(np.percentile(values, 0.5)) for values in arrays)
    high = max(_upper(values) for values in arrays)
    margin = max(0.05 * (high - low), 0.01 * high)
    return max(0.0, low - margin), high + margin
