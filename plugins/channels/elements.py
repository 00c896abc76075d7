"""Elements: one for each index along an axis of a tensor; those that can only go together are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Product:
    """An axis that is several axes in one: an index of it goes when an index of any of them goes.

    Attributes
    ----------
    whole
        The elements of the axis, shaped as the axes that it consists of.
    factors
        The elements of each of these; None where none of them can go.
    """

    whole: Ids
    factors: tuple[Ids | None, ...]


@dataclass(frozen=True, eq=False)
class Even:
    """Rows of elements of which the same number must stay: the channels of each group of a convolution.

    Where `alone`, what goes with whole rows does not count: the query heads of a key-value head that goes.
    """

    rows: Ids
    alone: bool = False


class Elements:
    """All elements of a model, numbered; what is joined, what may not go, and which axes consist of others.

    Joining is only noted: `classes` finds the connected components in one go.

    Attributes
    ----------
    products, evens
        See there.
    copies
        Axes along which everything is the same, so that it does not matter which of their elements go.
    tied
        Places in `products` of those that must not make use of that.
    """

    def __init__(self) -> None:
        self.count = 0
        self.products: list[Product] = []
        self.evens: list[Even] = []
        self.copies: list[Ids] = []
        self.tied: set[int] = set()
        self._joined: list[tuple[Ids, Ids]] = []
        self._classes: Ids = np.zeros(0, dtype=np.int64)
        self._locks: list[tuple[Ids, int]] = []
        self._reasons: dict[str, int] = {}

    def new(self, count: int) -> Ids:
        """Make elements."""
        self.count += count
        return np.arange(self.count - count, self.count, dtype=np.int64)

    def join(self, one: Ids, other: Ids) -> None:
        """Say that elements can only go together, pair by pair."""
        if one is not other:
            self._joined.append((one.reshape(-1), other.reshape(-1)))

    def join_all(self, rows: Ids) -> None:
        """Say that the elements of each column of a matrix can only go together."""
        for row in rows[1:]:
            self.join(rows[0], row)

    def lock(self, ids: Ids, reason: str) -> None:
        """Say that elements may not go."""
        self._locks.append((ids.reshape(-1), self._reasons.setdefault(reason, len(self._reasons))))

    def classes(self) -> Ids:
        """Give each element the number of its class: ``(count,)``."""
        known = self._classes
        new = np.arange(len(known), self.count, dtype=np.int64) - len(known) + int(known.max(initial=-1)) + 1
        known = np.concatenate([known, new])
        if self._joined:
            left = known[np.concatenate([one for one, _ in self._joined])]
            right = known[np.concatenate([other for _, other in self._joined])]
            self._joined.clear()
            known = _components(left, right, int(known.max(initial=-1)) + 1)[known]
        self._classes = known
        return known

    def locks(self, classes: Ids) -> tuple[Ids, Sequence[str]]:
        """Give for each class the number of the first reason why it may not go, -1 for none; and the reasons."""
        found = np.full(int(classes.max(initial=-1)) + 1, -1, dtype=np.int64)
        for ids, reason in reversed(self._locks):
            found[classes[ids]] = reason
        return found, list(self._reasons)

    def reason(self, text: str) -> int:
        """Give the number of a reason."""
        return self._reasons.setdefault(text, len(self._reasons))


def _components(left: Ids, right: Ids, count: int) -> Ids:
    """Give each vertex the number of its connected component, from the ends of the edges."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    differ = left != right
    graph = coo_array((np.ones(int(differ.sum()), np.int8), (left[differ], right[differ])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
