"""Confidence intervals of scores: shares of right answers, means, and paired differences of both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from studio.core.bootstrap import Z, expansion, resample
from studio.core.metric import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Above so many values the mean is normal, and resampling would cost time without a gain.
NORMAL_FROM = 2000
SEED = 0


def wilson(successes: float, samples: int) -> tuple[float, float]:
    """Give the 95 % interval of a share.

    Notes
    -----
    The score interval of Wilson, "Probable inference, the law of succession, and statistical
    inference" (JASA 22, 1927): unlike the normal one it stays within 0 and 1 and does not shrink to
    nothing when all or none succeed.
    """
    share = successes / samples
    spread = Z * math.sqrt(share * (1 - share) / samples + Z**2 / (4 * samples**2))
    scale = 1 + Z**2 / samples
    middle = share + Z**2 / (2 * samples)
    return max(0.0, min(share, (middle - spread) / scale)), min(1.0, max(share, (middle + spread) / scale))


def fraction_estimate(scores: Floats) -> Estimate:
    """Summarize scores of 0 and 1, float64 of shape ``(samples,)``, by their share and Wilson's interval.

    Raises
    ------
    ValueError
        Without scores.
    """
    _refuse_empty(scores)
    value = float(scores.mean())
    low, high = wilson(float(scores.sum()), len(scores))
    return Estimate(value=value, low=low, high=high, samples=len(scores))


def mean_estimate(scores: Floats, lowest: float, highest: float) -> Estimate:
    """Summarize scores, float64 of shape ``(samples,)``, by their mean with a 95 % interval.

    Parameters
    ----------
    lowest, highest
        Bounds of a score: the interval ends there, and is all of it for a single score.

    Raises
    ------
    ValueError
        Without scores.

    Notes
    -----
    Up to 2,000 scores a percentile bootstrap, widened as Student's t asks (Hesterberg 2015); above
    that the normal interval, which the bootstrap becomes.
    """
    _refuse_empty(scores)
    value = float(scores.mean())
    low, high = (lowest, highest) if len(scores) == 1 else _mean_interval(scores)
    return Estimate(
        value=value, low=max(lowest, min(low, value)), high=min(highest, max(high, value)), samples=len(scores)
    )


def paired_fraction(variant: Floats, baseline: Floats) -> tuple[float, float]:
    """Give the 95 % interval of the difference of two shares on the same samples, variant minus baseline.

    Parameters
    ----------
    variant, baseline
        0 or 1 for each sample, float64 of shape ``(samples,)``.

    Notes
    -----
    Method 10 of Newcombe, "Improved confidence intervals for the difference between binomial
    proportions based on paired data" (Statistics in Medicine 17, 1998): Wilson's intervals of both,
    combined with the correlation of the answers. It stays honest when the models differ on no or few
    samples, where a bootstrap gives an interval of no width.
    """
    n = len(variant)
    first, second = float(variant.sum()), float(baseline.sum())
    (low1, high1), (low2, high2) = wilson(first, n), wilson(second, n)
    p1, p2 = first / n, second / n
    phi = _correlation(variant, baseline)
    below = (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    above = (high1 - p1) ** 2 - 2 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2
    return p1 - p2 - math.sqrt(max(0.0, below)), p1 - p2 + math.sqrt(max(0.0, above))


def paired_mean(variant: Floats, baseline: Floats) -> tuple[float, float]:
    """Give the 95 % interval of the mean difference on the same samples, variant minus baseline.

    The samples are resampled in pairs, as in `mean_estimate`. A single sample gives the widest
    interval that its two scores allow, around 0.
    """
    difference = variant - baseline
    if len(difference) == 1:
        width = abs(float(difference[0]))
        return -width, width
    return _mean_interval(difference)


def paired_p(variant: Floats, baseline: Floats) -> float:
    """Give the two-sided p-value of no mean difference on the same samples, by resampling as `paired_mean` does."""
    import numpy as np

    difference = variant - baseline
    n = len(difference)
    if n == 1 or not difference.any():
        return 1.0
    if n > NORMAL_FROM:
        spread = float(difference.std(ddof=1)) / math.sqrt(n)
        return math.erfc(abs(float(difference.mean())) / spread / math.sqrt(2)) if spread else 0.0
    means = resample(difference, lambda rows: rows.mean(axis=1), seed=SEED)
    beside = min(int(np.count_nonzero(means <= 0)), int(np.count_nonzero(means >= 0)))
    return min(1.0, 2 * (beside + 1) / (len(means) + 1))


def mcnemar(variant: Floats, baseline: Floats) -> float:
    """Give the two-sided p-value that two models are right equally often on the same samples.

    Parameters
    ----------
    variant, baseline
        0 or 1 for each sample, float64 of shape ``(samples,)``.

    Notes
    -----
    McNemar, "Note on the sampling error of the difference between correlated proportions"
    (Psychometrika 12, 1947), exact by the binomial distribution of the samples on which only one is
    right, with the mid-p correction that Fagerland, Lydersen and Laake (2013) recommend.
    """
    only = int(((variant == 1) & (baseline == 0)).sum()), int(((variant == 0) & (baseline == 1)).sum())
    n, fewer = sum(only), min(only)
    if n == 0 or only[0] == only[1]:
        return 1.0
    # logarithms, since 2 ** -n vanishes from 1,075 samples on
    whole = math.lgamma(n + 1) - n * math.log(2)
    terms = [whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(fewer + 1)]
    tail = sum(math.exp(term) for term in terms)
    return min(1.0, 2 * tail - math.exp(terms[-1]))


def _mean_interval(values: Floats) -> tuple[float, float]:
    import numpy as np

    n = len(values)
    mean = float(values.mean())
    if n > NORMAL_FROM:
        spread = Z * float(values.std(ddof=1)) / math.sqrt(n)
        return mean - spread, mean + spread
    means = resample(values, lambda rows: rows.mean(axis=1), seed=SEED)
    wider = expansion(n)
    low, high = (mean + (float(end) - mean) * wider for end in np.percentile(means, (2.5, 97.5)))
    return low, high


def _correlation(variant: Floats, baseline: Floats) -> float:
    """Give the phi coefficient, corrected for continuity when positive, as method 10 asks; 0 when undefined."""
    both = float((variant * baseline).sum())
    only1, only2 = float(variant.sum()) - both, float(baseline.sum()) - both
    neither = len(variant) - both - only1 - only2
    product = (both + only1) * (only2 + neither) * (both + only2) * (only1 + neither)
    if product == 0:
        return 0.0
    excess = both * neither - only1 * only2
    if excess > 0:
        excess = max(excess - len(variant) / 2, 0.0)
    return excess / math.sqrt(product)


def _refuse_empty(scores: Floats) -> None:
    if len(scores) == 0:
        raise ValueError("there are no scores to summarize")
