"""Scales of charts: values to pixels, and where their ticks stand. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` onto pixels from `start` to `end`; what lies outside is put on the border."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Give the pixel of a value."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))

    def value(self, pixel: float) -> float:
        """Give the value at a pixel."""
        return self.low + (self.high - self.low) * (pixel - self.start) / (self.end - self.start or 1.0)

    def holds(self, value: float) -> bool:
        """Say whether a value lies inside."""
        return self.low <= value <= self.high


def ticks(low: float, high: float, most: int) -> list[float]:
    """Choose round values between two others, `most` at most: steps of 1, 2 or 5 times a power of ten."""
    if not high > low or most < 1:
        return []
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_text(value: float, values: Iterable[float]) -> str:
    """Write a tick with the decimals that tell it from its neighbours."""
    known = sorted(values)
    step = min((b - a for a, b in itertools.pairwise(known)), default=abs(value) or 1.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    text = f"{value:,.{decimals}f}"
    return "0" if float(text.replace(",", "")) == 0 else text


def padded(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    """Widen a span by a share on both sides; one of nothing gets room around its value."""
    room = (high - low) * share or abs(high) * share or 1.0
    return low - room, high + room
