"""Choosing how far, and in which way, to factorize one layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from studio.api import Moments

from .decompose import Factors, Kind, cost, decompose, kinds_of, ranks_within
from .fit import Fit
from .layers import Layer
from .timing import Timer

Convolution = Literal["auto", "channel", "spatial", "tucker", "none"]
#: shares of a layer's cost that are tried against the clock, largest first
SHARES = (0.9, 0.75, 0.6, 0.5, 0.4, 0.3, 0.2, 0.12, 0.06)
NO_SAVING = "no rank in these steps costs less than the layer as it is"
SLOWER = "measured alone at its real shape, its factors were not faster"


@dataclass(frozen=True)
class Rule:
    """What holds for every layer.

    Attributes
    ----------
    fraction
        Where ranks are chosen by the clock, the share of its time that a layer may take; else None.
    """

    convolution: Convolution
    multiple: int
    parameters: bool = False
    fraction: float | None = None


@dataclass(frozen=True)
class Choice:
    """Factors for a layer and what they cost.

    Attributes
    ----------
    cost
        Multiply-accumulates over those of the layer as it is.
    time
        Measured time over that of the layer as it is; None where it was not measured.
    error
        Share of the outputs' energy that is lost.
    """

    factors: Factors
    cost: float
    time: float | None
    error: float


def choose(layer: Layer, fit: Fit, share: float, rule: Rule, timer: Timer | None, shape: Sequence[int]) -> Choice | str:
    """Factorize a layer in the way that loses least, or say why it stays as it is.

    Parameters
    ----------
    share
        Cost that the factors may have, over that of the layer as it is.
    timer
        Refuses factors that are not faster; None to trust the multiply-accumulates.
    shape
        Of the layer's input for one sample.
    """
    linear = layer.linear
    choices = []
    reason = NO_SAVING
    for kind in _kinds(layer, fit, rule.convolution):
        ranks = _fastest(layer, kind, rule, timer, shape) if rule.fraction is not None else None
        if rule.fraction is None and share < 1:
            budget = share * dense(layer) * (1 + 1e-9)
            ranks = ranks_within(linear, kind, budget, rule.multiple, parameters=rule.parameters)
        if ranks is None:
            continue
        relative = cost(linear, kind, ranks) / dense(layer)
        time = timer.ratio(layer, kind, ranks, shape) if timer is not None else None
        if (time if time is not None else relative) >= 1:
            reason = SLOWER if time is not None else NO_SAVING
            continue
        factors = decompose(linear, kind, ranks, fit)
        choices.append(Choice(factors, relative, time, fit.error(factors.matrix)))
    return min(choices, key=lambda choice: choice.error, default=reason)


def dense(layer: Layer) -> float:
    """Give the parameters, and multiply-accumulates for each position, of the layer as it is."""
    return layer.linear.inputs * layer.linear.outputs


def sample_shape(layer: Layer, moments: Moments) -> tuple[int, ...]:
    """Give the shape of the layer's input for one sample."""
    shape = moments.shapes[0]
    if layer.linear.window is None and len(shape) == 2:
        rows = max(1, round(moments.positions))
        return (rows, shape[1]) if layer.linear.axis == -1 else (shape[0], rows)
    return (1, *shape[1:]) if len(shape) > 2 else shape


def _kinds(layer: Layer, fit: Fit, wanted: Convolution) -> tuple[Kind, ...]:
    possible = kinds_of(layer.linear)
    if fit.metric.ndim == 1 or wanted == "channel":
        return ("matrix",)
    if wanted in ("spatial", "tucker"):
        return tuple(kind for kind in possible if kind == wanted) or ("matrix",)
    return possible


def _fastest(layer: Layer, kind: Kind, rule: Rule, timer: Timer | None, shape: Sequence[int]) -> tuple[int, ...] | None:
    """Find the largest ranks whose measured time is within the fraction, by halving the list of shares."""
    assert rule.fraction is not None
    found = list(dict.fromkeys(_steps(layer, kind, rule)))
    low, high = 0, len(found)
    while low < high:
        middle = (low + high) // 2
        time = timer.ratio(layer, kind, found[middle], shape) if timer is not None else None
        time = cost(layer.linear, kind, found[middle]) / dense(layer) if time is None else time
        low, high = (low, middle) if time <= rule.fraction else (middle + 1, high)
    return found[low] if low < len(found) else None


def _steps(layer: Layer, kind: Kind, rule: Rule) -> Iterator[tuple[int, ...]]:
    for share in SHARES:
        ranks = ranks_within(layer.linear, kind, share * dense(layer), rule.multiple)
        if ranks is not None:
            yield ranks
