"""Warm-up that ends by detection: when latencies no longer depend on how long the model has run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Latencies needed for a first look: with ten in each third a slow fall shows beside the noise.
MIN_SAMPLES = 30
#: Latencies needed for a last look, when a limit ends the warm-up of a slow model.
MIN_LAST = 9
#: Running time needed for a first look: processors take tens of milliseconds to reach their frequency.
MIN_SECONDS = 0.1
#: The next look is when a quarter more samples are there, so that looking stays cheap.
GROWTH = 1.25
#: Medians this near to each other are the same.
TOLERANCE = 0.02


class Warmup:
    """Is fed latencies and says when they are steady.

    Parameters
    ----------
    limit_seconds
        Running time after which warming up ends, steady or not.
    limit_samples
        The same as a number of inferences.

    Notes
    -----
    The rule: of all latencies so far, the middle third and the last third must be alike in two looks
    in a row, which means that the median of each lies between the quartiles of the other, or that the
    medians differ by 2 % at most. What happens while caches fill, threads start and the processor
    speeds up falls into the first third, which is not looked at; as long as it reaches beyond, the
    thirds differ and grow until it does not. It is the comparison of Geweke's convergence diagnostic
    (1992), with the quartile test by which pyperf calibrates its warm-ups. Detecting changepoints
    (Barrett et al., "Virtual machine warmup blows hot and cold", OOPSLA 2017) needs thousands of
    samples of whole runs; as they found, some programs never become steady: then `steady` stays
    false, to be told.
    """

    def __init__(self, limit_seconds: float = 5.0, limit_samples: int = 200_000) -> None:
        self._limit_ns = limit_seconds * 1e9
        self._limit_samples = max(1, limit_samples)
        self._samples: list[int] = []
        self._elapsed = 0
        self._next_look = MIN_SAMPLES
        self._was_alike = False
        self.steady = False

    @property
    def samples_ns(self) -> tuple[int, ...]:
        """The latencies it was fed, in nanoseconds."""
        return tuple(self._samples)

    @property
    def done(self) -> bool:
        """Whether to stop: steady, or a limit is reached."""
        return self.steady or self._elapsed >= self._limit_ns or len(self._samples) >= self._limit_samples

    def feed(self, nanoseconds: int) -> bool:
        """Take one latency and say whether warming up is done."""
        self._samples.append(nanoseconds)
        self._elapsed += nanoseconds
        count = len(self._samples)
        if count >= self._next_look and self._elapsed >= MIN_SECONDS * 1e9:
            alike = is_steady(self._samples)
            self.steady = alike and self._was_alike
            self._was_alike = alike
            self._next_look = math.ceil(count * GROWTH)
        if self.done and not self.steady and count >= MIN_LAST:
            self.steady = is_steady(self._samples)
        return self.done

    def sentence(self, name: str) -> str:
        """Say in words that `name` did not become steady; empty when it did."""
        if self.steady:
            return ""
        return (
            f"{name} did not reach a steady latency in {len(self._samples):,} warm-up inferences "
            f"({self._elapsed / 1e9:.1f} s)."
        )


def is_steady(samples: list[int]) -> bool:
    """Say whether the middle and the last third of at least three latencies are alike."""
    import numpy as np

    third = len(samples) // 3
    earlier = np.percentile(samples[-2 * third : -third], (25, 50, 75))
    later = np.percentile(samples[-third:], (25, 50, 75))
    return _alike(earlier, later)


def _alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    near = abs(first[1] - second[1]) <= TOLERANCE * min(first[1], second[1])
    inside = second[0] <= first[1] <= second[2] and first[0] <= second[1] <= first[2]
    return bool(near or inside)
