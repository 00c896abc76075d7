"""Which units go first: Optimal Brain Surgeon on whole units, some at a time.

Hassibi and Stork 1993, "Second order derivatives for network pruning: Optimal Brain Surgeon"; Frantar and Alistarh
2022, "Optimal Brain Compression", arXiv:2208.11580; Kurtic, Frantar and Alistarh 2023, "ZipLM", arXiv:2302.04089.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass
class Problem:
    """A matrix whose columns belong to units, and the second moments of what it is multiplied with.

    Attributes
    ----------
    weights
        ``(outputs, inputs)``.
    hessian
        Second moments of the inputs with ridge, ``(inputs, inputs)``.
    units
        ``(inputs,)``: the unit of each column, -1 for columns that stay.
    scale
        What one unit of squared output error weighs.
    """

    weights: Matrix
    hessian: Matrix
    units: NDArray[np.intp]
    scale: float = 1.0


@dataclass
class Removals:
    """Units in the order in which they go.

    Attributes
    ----------
    order
        Units; those that may never go are not in it.
    losses
        ``(len(order) + 1,)``: squared error of all problems, by their scales, when so many are gone and the
        columns that stay make up for them; the first is 0.
    """

    order: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=lambda: [0.0])


class _State:
    """One problem while units are taken out of it."""

    def __init__(self, problem: Problem) -> None:
        self.scale = problem.scale
        self.weights = problem.weights.copy()
        inverse = np.linalg.inv(problem.hessian)
        self.inverse = (inverse + inverse.T) / 2
        size = int(problem.units.max(initial=-1)) + 1
        self.columns = [np.flatnonzero(problem.units == unit) for unit in range(size)]
        counts = {len(columns) for columns in self.columns if len(columns)}
        #: columns of each unit as one array, where all have as many
        self.even = np.stack(self.columns) if len(counts) == 1 and all(len(one) for one in self.columns) else None

    def scores(self, alive: NDArray[np.intp], size: int) -> Matrix:
        """Give what each unit would cost if it alone went."""
        found = np.zeros(size)
        if self.even is not None and self.even.shape[1] == 1:
            columns = self.even[alive, 0]
            found[alive] = np.square(self.weights[:, columns]).sum(axis=0) / np.diag(self.inverse)[columns]
            return found * self.scale
        for unit in alive:
            if unit < len(self.columns) and len(self.columns[unit]):
                columns = self.columns[unit]
                own = self.weights[:, columns]
                found[unit] = float(np.sum(np.linalg.solve(self.inverse[np.ix_(columns, columns)], own.T) * own.T))
        return found * self.scale

    def remove(self, units: Sequence[int]) -> float:
        """Take units out; give what it cost."""
        own_columns = [self.columns[unit] for unit in units if unit < len(self.columns)]
        columns = np.concatenate([np.zeros(0, dtype=np.intp), *own_columns])
        if not len(columns):
            return 0.0
        own, across = self.weights[:, columns], self.inverse[columns]
        solved = np.linalg.solve(across[:, columns], np.concatenate([own.T, across], axis=1))
        lost = float((own.T * solved[:, : len(own)]).sum())
        spread = solved[:, len(own) :]
        self.weights -= own @ spread
        self.inverse -= across.T @ spread
        self.weights[:, columns] = 0
        self.inverse[columns] = 0
        self.inverse[:, columns] = 0
        self.inverse[columns, columns] = 1
        return max(0.0, lost) * self.scale


def removals(
    problems: Sequence[Problem],
    parts: NDArray[np.intp],
    *,
    most: int,
    gone: Sequence[int] = (),
    step: int = 0,
) -> Removals:
    """Order units by what the outputs lose when they go and the others make up for them.

    Parameters
    ----------
    problems
        All layers that read the units.
    parts
        ``(units,)``: as many go from each part at any time.
    most
        Units to order, those of `gone` not counted.
    gone
        Units that went before; their columns are not used.
    step
        Units that go at a time, chosen by the cost of each alone; chosen from their number when 0.
    """
    size, count = len(parts), int(parts.max(initial=0)) + 1
    states = [_State(problem) for problem in problems]
    alive = np.ones(size, dtype=bool)
    if len(gone):
        alive[list(gone)] = False
        for state in states:
            state.remove(list(gone))
    found = Removals()
    step = step or max(1, size // (64 * count))
    while len(found.order) < most and alive.any():
        left = np.flatnonzero(alive)
        scores = np.zeros(size)
        for state in states:
            scores += state.scores(left, size)
        each = min(step, max(1, (most - len(found.order)) // count))
        chosen: list[list[int]] = []
        for part in range(count):
            own = left[parts[left] == part]
            chosen.append([int(unit) for unit in own[np.argsort(scores[own], kind="stable")[:each]]])
        batch = [unit for units in zip(*chosen, strict=False) for unit in units]
        if not batch:
            break
        lost = sum(state.remove(batch) for state in states)
        weights = np.maximum(scores[batch], 1e-30)
        before = found.losses[-1]
        found.losses += [before + lost * float(share) for share in np.cumsum(weights) / weights.sum()]
        found.order += batch
        alive[batch] = False
    return found
