"""The spread between processes: what no run within one process can see."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from studio.core.frozen import Frozen

#: Processes from which an interval of their mean says anything.
FEWEST = 3


class ProcessSpread(Frozen):
    """A figure as each of several processes measured it.

    Attributes
    ----------
    values
        One for each process, in the order in which they ran.
    middle
        Their geometric mean.
    low, high
        A 95 % interval of it from their scatter (Student's t on logarithms); the range of the values
        with fewer than 3 processes.
    spread
        Standard deviation of one process relative to the mean: 0.02 is 2 %.
    """

    values: tuple[float, ...]
    middle: float
    low: float
    high: float
    spread: float


def process_spread(values: Sequence[float]) -> ProcessSpread:
    """Describe how a positive figure varies between processes.

    Notes
    -----
    Memory layout, address randomization and thread placement are drawn once a process, so that more
    samples within it only make its own value sharper (Kalibera and Jones, "Rigorous benchmarking in
    reasonable time", ISMM 2013; pyperf starts its processes anew for the same reason). The interval is
    that of the top level of their hierarchy: of the means of processes.

    Raises
    ------
    ValueError
        Without values, or when one is not positive.
    """
    if not values or min(values) <= 0:
        raise ValueError("a spread needs at least one value, and positive ones")
    logs = [math.log(value) for value in values]
    middle = statistics.fmean(logs)
    deviation = statistics.stdev(logs) if len(logs) > 1 else 0.0
    if len(logs) < FEWEST:
        low, high = min(logs), max(logs)
    else:
        from scipy.stats import t

        half = float(t.ppf(0.975, len(logs) - 1)) * deviation / math.sqrt(len(logs))
        low, high = middle - half, middle + half
    return ProcessSpread(
        values=tuple(values), middle=math.exp(middle), low=math.exp(low), high=math.exp(high), spread=deviation
    )
