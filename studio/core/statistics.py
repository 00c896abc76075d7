"""Latency statistics, computed from raw samples on reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from studio.core.bootstrap import block_length, expansion, resample
from studio.core.frozen import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Verdict = Literal["faster", "slower", "no significant difference"]

#: Samples from which a percentile means something: see `percentile_floor`.
P90_FLOOR = 64
P99_FLOOR = 662
#: A change of latency below this is not called faster or slower. Two loadings of one model differ by where
#: their memory happens to lie, which no interval over one run's samples can see: in pairs within fresh
#: processes by 1.2 % at most (12 runs, the one loaded first 0.5 % slower on average), within a process
#: that had loaded others before by up to 2.5 %.
RELEVANT = 0.02
#: Below this many pairs no interval of the median reaches 95 %: the extremes of n samples enclose it
#: with probability 1 - 2 * 0.5**n, which is 0.94 for 5 and 0.97 for 6.
MIN_PAIRS = 6


class LatencySummary(Frozen):
    """Latencies of one model in milliseconds, with what the number of samples supports.

    `stdev_ms` is the sample standard deviation (0 for one sample). `throughput_per_s` is samples a
    second at the mean latency, one inference after the other. A percentile whose flag is false is
    computed but should be shown greyed out.
    """

    samples: int
    mean_ms: float
    min_ms: float
    max_ms: float
    stdev_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p90_supported: bool
    p99_supported: bool
    throughput_per_s: float


class RatioEstimate(Frozen):
    """How many times faster the variant is: baseline latency over variant latency, with a 95 % interval."""

    ratio: float
    low: float
    high: float
    verdict: Verdict
    pairs: int

    @property
    def text(self) -> str:
        """Give ``"1.42x (1.39-1.45)"``."""
        digits = 2 if self.low >= 0.1 else 3
        return f"{self.ratio:.{digits}f}x ({self.low:.{digits}f}-{self.high:.{digits}f})"


def percentile_floor(quantile: float, confidence: float = 0.99) -> int:
    """Count the samples from which an estimate of a percentile can be trusted.

    Notes
    -----
    The rule of MLPerf Inference's early stopping for latency estimates: the least n for which, with
    the given confidence, more than one of n samples lies above the true percentile, so that the
    second-largest sample bounds it. That is 64 for p90 and 662 for p99 (Reddi et al., "MLPerf
    Inference Benchmark", ISCA 2020; ``loadgen/early_stopping.cc``).
    """
    n = 1
    while quantile**n + n * (1 - quantile) * quantile ** (n - 1) > 1 - confidence:
        n += 1
    return n


def summarize(samples_ns: Sequence[int], batch: int = 1) -> LatencySummary:
    """Summarize steady-state latencies.

    Parameters
    ----------
    samples_ns
        Latencies of single inferences in nanoseconds, at least one.
    batch
        Samples in one inference, for the throughput.

    Raises
    ------
    ValueError
        Without samples, or when one is not positive.
    """
    import numpy as np

    values = _positive(samples_ns) / 1e6
    p50, p90, p99 = (float(value) for value in np.percentile(values, (50, 90, 99)))
    mean = float(values.mean())
    return LatencySummary(
        samples=len(values),
        mean_ms=mean,
        min_ms=float(values.min()),
        max_ms=float(values.max()),
        stdev_ms=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        p90_supported=len(values) >= P90_FLOOR,
        p99_supported=len(values) >= P99_FLOOR,
        throughput_per_s=batch * 1e3 / mean,
    )


def compare(baseline_ns: Sequence[int], variant_ns: Sequence[int], seed: int = 0) -> RatioEstimate:
    """Estimate how many times faster a variant is, from samples taken in pairs.

    Parameters
    ----------
    baseline_ns, variant_ns
        Latencies in nanoseconds; sample i of one was taken beside sample i of the other.
    seed
        Of the bootstrap; the same samples and seed give the same estimate.

    Returns
    -------
    RatioEstimate
        ``"faster"`` or ``"slower"`` only when the interval excludes 1 and the change is at least 2 %
        (`RELEVANT`). Below 6 pairs the interval is the range of the ratios and the verdict is always
        "no significant difference".

    Raises
    ------
    ValueError
        When the lengths differ, there is no pair, or a sample is not positive.

    Notes
    -----
    The estimator is the median over pairs of baseline over variant. What slows the machine down for
    longer than a pair slows both and cancels; what hits one inference only moves one ratio, and half
    of the ratios may be spoiled before the median follows; swapping the models inverts it. (The ratio
    of the two medians keeps only the last property when the machine drifts.)

    The interval is a percentile bootstrap over pairs (Efron and Tibshirani 1993). Disturbances outlast
    a pair, so neighbours resemble each other and single pairs resampled would promise too narrow an
    interval: blocks of neighbours are resampled, as long as the autocorrelation asks for
    (`block_length`), measured on the signs around the median, which is what the median's error depends
    on (Bahadur 1966). Short runs cannot show their autocorrelation, so blocks have sqrt(n) pairs at
    least, and the interval is widened for the number of blocks as Student's t asks (the expanded
    percentile interval of Hesterberg, "What teachers should know about the bootstrap", 2015).
    """
    import numpy as np

    baseline, variant = _positive(baseline_ns), _positive(variant_ns)
    if len(baseline) != len(variant):
        raise ValueError(f"{len(baseline)} baseline samples cannot be paired with {len(variant)} of the variant")
    logs = np.log(baseline / variant)
    middle = float(np.median(logs))
    low, high = _interval(logs, middle, seed)
    ratio, low, high = (float(np.exp(value)) for value in (middle, low, high))
    return RatioEstimate(
        ratio=ratio, low=low, high=high, verdict=_verdict(ratio, low, high, len(logs)), pairs=len(logs)
    )


def _positive(samples_ns: Sequence[int]) -> NDArray[np.float64]:
    import numpy as np

    values = np.asarray(samples_ns, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0 or not (values > 0).all():
        raise ValueError("latencies must be a sequence of at least one positive number of nanoseconds")
    return values


def _interval(logs: NDArray[np.float64], middle: float, seed: int) -> tuple[float, float]:
    import numpy as np

    if len(logs) < MIN_PAIRS:
        return float(logs.min()), float(logs.max())
    n = len(logs)
    block = min(max(block_length(np.sign(logs - middle)), math.ceil(math.sqrt(n))), n // 3)
    medians = resample(logs, lambda rows: np.median(rows, axis=1, overwrite_input=True), seed=seed, block=block)
    wider = expansion(n // block)
    low, high = (middle + (float(end) - middle) * wider for end in np.percentile(medians, (2.5, 97.5)))
    return min(low, middle), max(high, middle)


def _verdict(ratio: float, low: float, high: float, pairs: int) -> Verdict:
    if pairs < MIN_PAIRS or low <= 1 <= high or max(ratio, 1 / ratio) < 1 + RELEVANT:
        return "no significant difference"
    return "faster" if ratio > 1 else "slower"
