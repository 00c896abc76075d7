"""Block bootstrap: intervals for samples that follow each other in time and so resemble their neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RESAMPLES = 2000
#: 97.5 % quantile of the normal distribution
Z = 1.959963984540054
#: elements resampled at once: 4 MB of float64
CHUNK = 500_000


def block_length(values: Floats) -> int:
    """Choose how long the blocks of a circular block bootstrap of the mean should be.

    Parameters
    ----------
    values
        float64 of shape ``(n,)``, in the order in which they were taken.

    Returns
    -------
    int
        1 for values that do not depend on their neighbours, at most a third of n.

    Notes
    -----
    The plug-in rule of Politis and White, "Automatic block-length selection for the dependent
    bootstrap" (Econometric Reviews 23, 2004), as corrected by Patton, Politis and White (2009): a
    flat-top lag window, as wide as twice the last autocorrelation that stands out of the noise.
    """
    n = len(values)
    if n < 8:
        return 1
    covariance = _autocovariance(values, min(n - 1, math.ceil(math.sqrt(n)) + max(5, math.ceil(math.log10(n)))))
    if covariance[0] <= 0:
        return 1
    width = 2 * _last_correlated_lag(covariance / covariance[0], n)
    if width == 0:
        return 1
    lags = range(1, min(width, len(covariance) - 1) + 1)
    weights = [min(1.0, 2 * (1 - lag / width)) for lag in lags]
    slope = 2 * sum(weight * lag * covariance[lag] for weight, lag in zip(weights, lags, strict=True))
    spectrum = covariance[0] + 2 * sum(weight * covariance[lag] for weight, lag in zip(weights, lags, strict=True))
    if spectrum <= 0:
        return 1
    best = float((1.5 * (slope / spectrum) ** 2 * n) ** (1 / 3))
    return max(1, min(math.ceil(best), n // 3, math.ceil(3 * math.sqrt(n))))


def resample(
    values: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    seed: int,
    block: int = 1,
    resamples: int = RESAMPLES,
) -> Floats:
    """Compute a statistic on resamples made of blocks of neighbours (Politis and Romano 1992, circular).

    Parameters
    ----------
    values
        float64 of shape ``(n,)``.
    statistic
        Maps ``(k, n)`` to ``(k,)``; it may overwrite its argument.
    block
        Length of the blocks; 1 is the ordinary bootstrap.

    Returns
    -------
    ndarray
        float64 of shape ``(resamples,)``; the same for the same seed.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    n = len(values)
    blocks = math.ceil(n / block)
    rows = max(1, CHUNK // n)
    found = np.empty(resamples)
    for first in range(0, resamples, rows):
        count = min(rows, resamples - first)
        starts = rng.integers(0, n, size=(count, blocks), dtype=np.int32)
        indices = (starts[:, :, None] + np.arange(block, dtype=np.int32)).reshape(count, -1)[:, :n] % n
        found[first : first + count] = statistic(values[indices])
    return found


def expansion(n: int) -> float:
    """Give the factor that widens a 95 % percentile interval for n independent values (or blocks), 2 at least.

    The bootstrap's spread is too small by sqrt((n - 1) / n) and its shape is normal where Student's t
    is needed (Hesterberg 2015).
    """
    return student_t(n - 1) / Z * math.sqrt(n / (n - 1))


def student_t(freedom: int) -> float:
    """Give the 97.5 % quantile of Student's t with 1 degree of freedom or more, within 0.2 %.

    Exact for 1 and 2; else the expansion 26.7.5 of Abramowitz and Stegun (1964).
    """
    if freedom == 1:
        return math.tan(math.pi * 0.475)
    if freedom == 2:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    z, v = Z, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def _autocovariance(values: Floats, lags: int) -> Floats:
    """Give the autocovariance at lags 0 to `lags`."""
    import numpy as np

    centred = values - values.mean()
    n = len(values)
    return np.array([float(centred[: n - lag] @ centred[lag:]) / n for lag in range(lags + 1)])


def _last_correlated_lag(correlation: Floats, n: int) -> int:
    """Give the lag after which a run of autocorrelations stays within the noise."""
    limit = 2 * math.sqrt(math.log10(n) / n)
    quiet = max(5, math.ceil(math.sqrt(math.log10(n))))
    for lag in range(1, len(correlation) - quiet + 1):
        if all(abs(value) < limit for value in correlation[lag : lag + quiet]):
            return lag - 1
    return len(correlation) - quiet
