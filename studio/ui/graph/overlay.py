"""What nodes are coloured by, and what is written on them instead of their shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studio.core.drawing.picture import Picture
from studio.ui.theme import Tokens

Floats = NDArray[np.float64]
#: cividis (Nunez, Anderton and Renslow 2018, doi:10.1371/journal.pone.0199239): the same to every kind of eye
SCALE = ((0, 34, 78), (53, 69, 108), (102, 105, 112), (148, 142, 119), (200, 184, 102), (254, 232, 56))
Sum = Literal["sum", "mean", "max", "min", "first"]


@dataclass(frozen=True)
class Overlay:
    """Values of the nodes, and how they are shown.

    Attributes
    ----------
    title
        For the legend, such as ``"Share of measured time"``.
    values
        float64 ``(nodes,)``, NaN where there is none; with `classes` the index of the class.
    text
        Writes a value.
    over
        What a collapsed block shows of its nodes' values.
    classes
        Names, where the values are classes and not numbers.
    inverted
        Whether small values are what to look at: the scale is turned round.
    notes
        What is written on some nodes instead of their value, by their index.
    """

    title: str
    values: Floats
    text: Callable[[float], str]
    over: Sum = "sum"
    classes: tuple[str, ...] = ()
    inverted: bool = False
    notes: Mapping[int, str] | None = None

    def of_items(self, picture: Picture) -> Floats:
        """Give the value of each item of a picture."""
        count, owner = len(picture.x), picture.of_node
        known = np.isfinite(self.values)
        found = np.full(count, np.nan)
        if self.classes or self.over == "first":
            # the class of most nodes would hide a single one that is different: the rarest shows
            for index in sorted(range(len(self.values)), key=lambda at: self.values[at] if known[at] else -1):
                if known[index]:
                    found[owner[index]] = self.values[index]
            return found
        numbers = np.bincount(owner[known], minlength=count)
        if self.over in ("max", "min"):
            pick, worst = (np.maximum, -np.inf) if self.over == "max" else (np.minimum, np.inf)
            extreme = np.full(count, worst)
            pick.at(extreme, owner[known], self.values[known])
            return np.where(numbers > 0, extreme, np.nan)
        total = np.bincount(owner[known], self.values[known], minlength=count)
        return np.where(numbers > 0, total / np.maximum(numbers, 1) if self.over == "mean" else total, np.nan)


def share(title: str, amounts: Sequence[float] | NDArray[np.int64], *, of: float | None = None) -> Overlay:
    """Show amounts as their share of the whole."""
    values = np.asarray(amounts, np.float64)
    whole = float(np.nansum(values)) if of is None else of
    return Overlay(title, values / whole if whole > 0 else np.full(len(values), np.nan), _percent)


def colours(
    values: Floats, tokens: Tokens, classes: int, *, inverted: bool = False
) -> tuple[NDArray[np.uint8], Floats]:
    """Give the colour of each value, ``(n, 3)``, and its place on the scale, 0 to 1; grey where there is none."""
    dim = np.array(_rgb(tokens.dim), np.uint8)
    known = np.isfinite(values)
    found = np.tile(dim, (len(values), 1))
    places = np.zeros(len(values))
    if classes:
        series = np.array([_rgb(color) for color in tokens.series], np.uint8)
        found[known] = series[values[known].astype(int) % len(series)]
        return found, places
    if known.any():
        low, high = float(values[known].min()), float(values[known].max())
        # the root spreads out the many small shares that one large one would press together
        places[known] = np.sqrt((values[known] - low) / (high - low)) if high > low else 1.0
        if inverted:
            places[known] = 1 - (values[known] - low) / (high - low) if high > low else 0.0
        found[known] = scale(places[known])
    return found, places


def scale(places: Floats) -> NDArray[np.uint8]:
    """Give colours on the scale for places from 0 to 1: ``(n, 3)``."""
    stops = np.linspace(0, 1, len(SCALE))
    table = np.array(SCALE, np.float64)
    return np.stack([np.interp(places, stops, table[:, channel]) for channel in range(3)], axis=1).astype(np.uint8)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
