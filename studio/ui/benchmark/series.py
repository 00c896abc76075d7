"""The samples of models on devices as they come, ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.core.statistics import P90_FLOOR, P99_FLOOR, RatioEstimate
from studio.ui.benchmark.running import curve, running_ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: points drawn of one series: more than the pixels of a chart cost time and show nothing
POINTS = 600
#: samples kept for drawing; the measurement itself keeps all
KEPT = 20_000
#: places at which a density is worked out
PLACES = 160
#: quantiles that are marked, with the samples from which they mean something
QUANTILES = ((0.5, 1), (0.9, P90_FLOOR), (0.99, P99_FLOOR))


class LiveSeries:
    """Latencies in milliseconds, warm-up apart.

    Attributes
    ----------
    noise
        Samples that something disturbed, as first and end among the steady ones, and what it was.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.warmup: list[float] = []
        self.steady: list[float] = []
        self.noise: list[tuple[int, int, str]] = []

    def add(self, values: Sequence[int], phase: str) -> None:
        """Take samples in nanoseconds; `phase` is ``"warmup"`` or ``"steady"``."""
        target = self.warmup if phase == "warmup" else self.steady
        target.extend(value / 1e6 for value in values)
        extra = len(target) - KEPT
        if extra > 0:
            del target[:extra]
            if target is self.steady:
                self.noise = [(max(0, a - extra), b - extra, text) for a, b, text in self.noise if b > extra]

    def disturb(self, first: int, end: int, text: str) -> None:
        """Mark steady samples as disturbed."""
        self.noise.append((first, end, text))

    @property
    def median(self) -> float | None:
        """Median of the steady samples in milliseconds; None before the first."""
        ordered = sorted(self.steady[-2001:])
        return ordered[len(ordered) // 2] if ordered else None

    def quantiles(self) -> list[tuple[float, float]]:
        """Give the quantiles that the samples support: share and milliseconds."""
        import numpy as np

        shares = [share for share, floor in QUANTILES if len(self.steady) >= floor]
        return [(share, float(np.quantile(self.steady, share))) for share in shares]

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
        """Give places over a range in milliseconds and the density of the steady samples at each, per millisecond.

        Notes
        -----
        A Gaussian kernel over fine bins; its width is Silverman's for the spread of the middle half
        ("Density Estimation", 1986), which outliers do not move.
        """
        import numpy as np

        counts, edges = np.histogram(self.steady, bins=PLACES, range=(low, high))
        step = (high - low) / PLACES
        quarter, three = np.percentile(self.steady, (25, 75)) if self.steady else (0.0, 0.0)
        width = max(1.5 * step, 0.9 * float(three - quarter) / 1.34 * max(1, len(self.steady)) ** -0.2)
        reach = int(np.ceil(4 * width / step))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
        smooth = np.convolve(counts, kernel / kernel.sum(), mode="full")[reach : reach + PLACES]
        return (edges[:-1] + edges[1:]) / 2, smooth / (max(1, len(self.steady)) * step)


@dataclass
class LivePair:
    """A variant beside the baseline: how the estimate of their ratio went."""

    name: str
    points: list[RatioEstimate]
    final: RatioEstimate | None = None

    @property
    def last(self) -> RatioEstimate | None:
        """The estimate as it stands."""
        return self.final or (self.points[-1] if self.points else None)


class LiveRun:
    """All that a running benchmark has sent: the series, and the pairs of each job.

    A job measures a variant in pairs with the baseline: the first subject of the benchmark.
    """

    def __init__(self, baseline: str = "") -> None:
        self.baseline = baseline
        self.series: dict[str, LiveSeries] = {}
        self.pairs: dict[str, LivePair] = {}
        self._jobs: dict[tuple[str, str], list[float]] = {}
        self._began: dict[tuple[str, str], int] = {}

    def add(self, name: str, values: Sequence[int], info: dict[str, Any]) -> None:
        """Take samples as a job streams them."""
        series = self.series.setdefault(name, LiveSeries(name))
        phase, key = str(info.get("phase", "steady")), (str(info.get("job", "")), name)
        if phase == "noise":
            start = self._began.get(key, 0)
            series.disturb(start + int(info["first"]), start + int(info["end"]), str(info.get("text", "")))
            return
        if phase == "steady":
            self._began.setdefault(key, len(series.steady))
            self._jobs.setdefault(key, []).extend(values)
        series.add(values, phase)

    def estimate(self) -> None:
        """Work out the ratio of each pair that has new samples."""
        for (job, name), values in self._jobs.items():
            first = self._jobs.get((job, self.baseline))
            if name == self.baseline or first is None:
                continue
            pair = self.pairs.setdefault(name, LivePair(name, []))
            count = min(len(first), len(values))
            if not pair.points or pair.points[-1].pairs != count:
                found = running_ratio(first, values)
                if found is not None:
                    pair.points.append(found)


def past_pair(name: str, baseline: Sequence[int], variant: Sequence[int], final: RatioEstimate) -> LivePair:
    """Give a pair that was measured before, with the way its estimate went."""
    return LivePair(name, list(curve(baseline, variant)), final)


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
