"""How far a calibration has come, with its statistics, as arrays that a memo keeps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from studio.api import Memo

from .statistics import Extremes, Histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: seconds between two times of saving
SAVE_SECONDS = 10.0


@dataclass
class Position:
    """Where a calibration stands.

    Attributes
    ----------
    phase, group, samples
        The pass over the data, the group of tensors, and the samples of that group that are done.
    batch
        Samples of one inference; another size would skip others.
    """

    batch: int
    phase: int = 0
    group: int = 0
    samples: int = 0

    def array(self) -> NDArray[Any]:
        """Give it as numbers."""
        import numpy as np

        return np.array([self.phase, self.group, self.samples, self.batch], np.int64)


@dataclass
class Keeper:
    """Saves a calibration's state now and then, and when it is interrupted.

    Attributes
    ----------
    memo
        Where to; nothing is saved without one.
    key
        Names the state.
    """

    memo: Memo | None
    key: str
    _saved: float = field(default_factory=time.monotonic)

    def load(
        self, names: list[str], extremes: Mapping[str, Extremes], histograms: Mapping[str, Histogram]
    ) -> Position | None:
        """Fill the statistics with what was kept; None, and nothing changed, when there is nothing that fits."""
        import numpy as np

        kept = self.memo.load(self.key) if self.memo is not None and self.key else None
        if kept is None or kept.get("bounds", np.empty(0)).shape != (len(names), 3) or kept["position"].shape != (4,):
            return None
        for name, (low, high, finite) in zip(names, kept["bounds"].tolist(), strict=True):
            extremes[name].low, extremes[name].high, extremes[name].finite = low, high, bool(finite)
        if histograms and len(kept["counts"]) == len(names):
            for name, counts in zip(names, kept["counts"], strict=True):
                histograms[name].counts[:] = counts
        phase, group, samples, batch = (int(number) for number in kept["position"])
        return Position(batch, phase, group, samples)

    def save(
        self,
        position: Position,
        extremes: Mapping[str, Extremes],
        histograms: Mapping[str, Histogram],
        *,
        now: bool = False,
    ) -> None:
        """Keep the state when it is time, or `now`."""
        import numpy as np

        if self.memo is None or not self.key or (not now and time.monotonic() - self._saved < SAVE_SECONDS):
            return
        bounds = np.array([(item.low, item.high, item.finite) for item in extremes.values()], np.float64)
        counts = np.array([item.counts for item in histograms.values()], np.int64)
        self.memo.save(self.key, {"position": position.array(), "bounds": bounds.reshape(-1, 3), "counts": counts})
        self._saved = time.monotonic()
