"""Metrics that are no mean of samples' scores: F1, areas, average precision, ratios of sums."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from studio.core.bootstrap import Z
from studio.core.errors import DataError
from studio.core.intervals import wilson
from studio.core.metric import Estimate, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: The statistic for how often each sample counts, float64 of shape ``(samples,)``; NaN where it is undefined.
Statistic = Callable[["Floats"], float]
SEED = 0
FEWEST, MOST = 200, 1000
#: numbers in the records of all resamples together: bounds the time, and depends on nothing but the data
WORK = 400_000_000
#: groups that the jackknife leaves out one after the other
GROUPS = 50


class SetMetric(Metric):
    """A metric of all samples together, from a record of each.

    `scores` gives the records: float64 of shape ``(samples, k)``, or an object array of shape
    ``(samples,)`` whose items are float arrays of any shape. They are kept until the end, and the
    statistic is computed on resamples of them.
    """

    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 1.0

    @abstractmethod
    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Prepare the statistic of some records (sort them once, say) for any weights of the samples."""

    @abstractmethod
    def figures(self, records: NDArray[Any]) -> Floats:
        """Give one figure for each sample, such as whether it is right, float64 of shape ``(samples,)``."""

    def details(self, records: NDArray[Any]) -> dict[str, Any]:
        """Give what else is worth knowing, as plain values: a confusion matrix, a value for each class."""
        return {}

    def estimate(self, scores: NDArray[Any]) -> Estimate:
        """Give the statistic with a bootstrap interval (BCa).

        Raises
        ------
        DataError
            When the statistic is undefined on these samples.
        """
        found = self.statistic(scores)
        return set_estimate(found, len(scores), weight_of(scores), self.lowest, self.highest, self.title)


def set_estimate(
    statistic: Statistic, samples: int, work: int, lowest: float, highest: float, title: str = "The metric"
) -> Estimate:
    """Estimate a statistic with a 95 % interval.

    Parameters
    ----------
    work
        Numbers that one evaluation of the statistic goes through; decides how many resamples are drawn.
    lowest, highest
        Bounds of the statistic: the interval ends there, and is all of it for a single sample.

    Raises
    ------
    DataError
        When the statistic is undefined on these samples.

    Notes
    -----
    Bias-corrected and accelerated bootstrap of Efron, "Better bootstrap confidence intervals" (JASA 82,
    1987); the acceleration comes from a jackknife over 50 groups of samples.
    """
    import numpy as np

    value = statistic(np.ones(samples))
    if not np.isfinite(value):
        raise DataError(
            f"{title} is undefined on these {samples} samples.", "Give more samples, of at least two classes or values."
        )
    if samples == 1:
        return Estimate(value=value, low=lowest, high=highest, samples=1)
    drawn = resampled(statistic, samples, work)
    if len(drawn) < 2:
        low, high = lowest, highest
    elif drawn.min() == drawn.max() and (lowest, highest) == (0.0, 1.0):
        # all right or all wrong: resampling knows nothing else, Wilson's interval does
        low, high = wilson(value * samples, samples)
    else:
        low, high = _bca(drawn, value, _jackknife(statistic, samples))
    return Estimate(value=value, low=max(lowest, min(low, value)), high=min(highest, max(high, value)), samples=samples)


def paired_statistic(variant: Statistic, baseline: Statistic, samples: int, work: int) -> tuple[float, float, float]:
    """Compare two models by resampling their samples in pairs, variant minus baseline.

    Returns
    -------
    tuple
        Ends of the 95 % percentile interval, and the two-sided p-value of no difference. A single sample
        gives the widest interval around 0 that its two values allow, and 1.
    """
    import numpy as np

    ones = np.ones(samples)
    value = variant(ones) - baseline(ones)
    if samples == 1:
        return -abs(value), abs(value), 1.0
    drawn = resampled(lambda weights: variant(weights) - baseline(weights), samples, 2 * work)
    if len(drawn) < 2:
        return -abs(value), abs(value), 1.0
    low, high = (float(end) for end in np.percentile(drawn, (2.5, 97.5)))
    beside = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return low, high, min(1.0, 2 * (beside + 1) / (len(drawn) + 1))


def resampled(statistic: Statistic, samples: int, work: int) -> Floats:
    """Compute a statistic on resamples of the samples; those where it is undefined are left out."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    count = max(FEWEST, min(MOST, WORK // max(1, work)))
    found = np.empty(count)
    for index in range(count):
        drawn = rng.integers(0, samples, samples)
        found[index] = statistic(np.bincount(drawn, minlength=samples).astype(np.float64))
    finite: Floats = found[np.isfinite(found)]
    return finite


def weight_of(records: NDArray[Any]) -> int:
    """Count the numbers in some records."""
    return sum(item.size for item in records) if records.dtype == object else int(records.size)


def joined_records(pieces: list[NDArray[Any]]) -> NDArray[Any]:
    """Put the records of batches together."""
    import numpy as np

    return np.concatenate(pieces)


def ragged(rows: list[NDArray[Any]]) -> NDArray[Any]:
    """Give records of different shapes as an object array of shape ``(samples,)``."""
    import numpy as np

    made = np.empty(len(rows), dtype=object)
    for index, row in enumerate(rows):
        made[index] = row
    return made


def _jackknife(statistic: Statistic, samples: int) -> Floats:
    """Compute the statistic without each of some groups of samples, dealt out in turn."""
    import numpy as np

    groups = min(GROUPS, samples)
    of = np.arange(samples) % groups
    found = np.array([statistic((of != group).astype(np.float64)) for group in range(groups)])
    finite: Floats = found[np.isfinite(found)]
    return finite


def _bca(drawn: Floats, value: float, left_out: Floats) -> tuple[float, float]:
    import numpy as np
    from scipy.special import ndtr, ndtri

    # half of the equal ones stand below, so that a statistic of few values is not called biased
    share = (float((drawn < value).sum()) + 0.5 * float((drawn == value).sum())) / len(drawn)
    bias = float(ndtri(min(max(share, 1 / (len(drawn) + 1)), 1 - 1 / (len(drawn) + 1))))
    apart = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    spread = float((apart**2).sum()) ** 1.5
    acceleration = float((apart**3).sum()) / (6 * spread) if spread > 0 else 0.0
    ends = []
    for z in (-Z, Z):
        moved = bias + z
        ends.append(float(ndtr(bias + moved / max(1e-3, 1 - acceleration * moved))))
    low, high = (float(end) for end in np.quantile(drawn, ends))
    return low, high
