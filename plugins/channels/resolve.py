"""From elements to units: which of them go together, which may not go at all, and which consist of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .elements import Elements, Product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .elements import Ids

TWO_SHAPES = "it is seen in two shapes that do not agree"
#: rounds after which everything has long settled
ROUNDS = 50


@dataclass(frozen=True)
class Resolved:
    """The classes of a model's elements.

    Attributes
    ----------
    classes
        ``(elements,)``: the class of each element.
    owners
        ``(elements, n)``: the classes with one of which an element goes: its own, or, for an axis
        that consists of several, one of each; -1 fills up.
    locks
        ``(classes,)``: the number of the reason why a class may not go, -1 where it may.
    reasons
        The reasons.
    products
        Axes that consist of several of which more than one can go.
    loose
        Those of them with a factor whose elements are all the same, by their place among all products; and
        which factor that is. Any elements of the whole may go, as long as the same number stays beside each
        element of the other factors: any query heads of a key-value head.
    """

    classes: Ids
    owners: Ids
    locks: Ids
    reasons: Sequence[str]
    products: tuple[Product, ...]
    loose: dict[int, tuple[Product, int]]


def resolve(elements: Elements) -> Resolved:
    """Find the classes; products of axes are settled until nothing changes."""
    before = (-1, -1)
    for _ in range(ROUNDS):
        classes = elements.classes()
        locks, reasons = elements.locks(classes)
        now = (int(classes.max(initial=-1)), int((locks >= 0).sum()))
        if now == before or not elements.products:
            break
        before = now
        live = [product for product in elements.products if _settle(elements, product, classes, locks, reasons)]
        _agree(elements, live, classes)
    locks, reasons = elements.locks(classes)
    live = [product for product in elements.products if _live(product, classes, locks).count(True) > 1]
    loose = {
        place: (product, axis)
        for place, product in enumerate(elements.products)
        if product in live and place not in elements.tied and (axis := _alike(elements, product, classes)) is not None
    }
    free = {id(product): axis for product, axis in loose.values()}
    owners = _owners(elements.count, live, free, classes, locks)
    return Resolved(classes, owners, locks, reasons, tuple(live), loose)


def _alike(elements: Elements, product: Product, classes: Ids) -> int | None:
    """Give the factor whose elements are all the same, if there is one."""
    if not elements.copies:
        return None
    copied = np.zeros(elements.count, dtype=bool)
    copied[np.concatenate(elements.copies)] = True
    others = np.zeros(int(classes.max(initial=-1)) + 1, dtype=bool)
    others[classes[~copied]] = True
    found = [axis for axis, ids in enumerate(product.factors) if ids is not None and not others[classes[ids]].any()]
    return found[0] if len(found) == 1 else None


def _live(product: Product, classes: Ids, locks: Ids) -> list[bool]:
    return [ids is not None and bool((locks[classes[ids]] < 0).any()) for ids in product.factors]


def _settle(elements: Elements, product: Product, classes: Ids, locks: Ids, reasons: Sequence[str]) -> bool:
    """Lock the factors of what may not go; where one factor alone can go, the whole goes with it.

    Returns
    -------
    bool
        Whether more than one factor can go.
    """
    whole = locks[classes[product.whole]]
    for axis, ids in enumerate(product.factors):
        if ids is None:
            continue
        lines = np.moveaxis(whole, axis, 0).reshape(len(ids), -1)
        for index in np.flatnonzero((lines >= 0).any(axis=1) & (locks[classes[ids]] < 0)):
            elements.lock(ids[index : index + 1], reasons[int(lines[index].max())])
    live = _live(product, classes, locks)
    if live.count(True) > 1:
        return True
    for axis, ids in enumerate(product.factors):
        if ids is None:
            continue
        if live[axis]:
            shape = [1] * product.whole.ndim
            shape[axis] = len(ids)
            elements.join(np.ascontiguousarray(np.broadcast_to(ids.reshape(shape), product.whole.shape)), product.whole)
            return False
    reason = next(
        (reasons[int(locks[classes[ids]].max())] for ids in product.factors if ids is not None), "it keeps its size"
    )
    if (whole < 0).any():
        elements.lock(product.whole, reason)
    return False


def _agree(elements: Elements, products: list[Product], classes: Ids) -> None:
    """Join the factors of whatever stands at several places of products.

    An element goes when one of its factors goes; so elements that go together must have the same factors.
    """
    ranks = {product.whole.ndim for product in products}
    seen: dict[int, tuple[Ids, list[Ids]]] = {}
    for rank in sorted(ranks):
        alike = [product for product in products if product.whole.ndim == rank]
        own = np.concatenate([classes[product.whole].reshape(-1) for product in alike])
        coordinates = [np.concatenate([_along(product, axis) for product in alike]) for axis in range(rank)]
        order = np.argsort(own, kind="stable")
        same = np.flatnonzero(own[order][1:] == own[order][:-1])
        for ids in coordinates:
            one, other = ids[order][same], ids[order][same + 1]
            both = (one >= 0) & (other >= 0)
            elements.join(one[both], other[both])
            for single in (one[(one >= 0) & (other < 0)], other[(other >= 0) & (one < 0)]):
                if len(single):
                    elements.lock(single, TWO_SHAPES)
        seen[rank] = (own, coordinates)
    for rank, (own, coordinates) in seen.items():
        for other_rank, (others, other_coordinates) in seen.items():
            if other_rank <= rank or not (common := np.intersect1d(own, others)).size:
                continue
            for mine, places in ((own, coordinates), (others, other_coordinates)):
                chosen = np.isin(mine, common)
                for ids in places:
                    elements.lock(ids[chosen & (ids >= 0)], TWO_SHAPES)


def _along(product: Product, axis: int) -> Ids:
    """Give for each element of the whole its factor along an axis; -1 where that keeps its size."""
    ids = product.factors[axis]
    shape = [1] * product.whole.ndim
    shape[axis] = product.whole.shape[axis]
    line = np.full(shape[axis], -1, dtype=np.int64) if ids is None else ids
    return np.ascontiguousarray(np.broadcast_to(line.reshape(shape), product.whole.shape)).reshape(-1)


def _owners(count: int, products: list[Product], free: dict[int, int], classes: Ids, locks: Ids) -> Ids:
    """Give the classes with which each element goes.

    Parameters
    ----------
    free
        The factor whose elements are all the same, by the identity of a product.
    """
    size = int(classes.max(initial=-1)) + 1
    of_class = np.arange(size, dtype=np.int64)[:, None]
    for _ in range(len(products)):
        new = of_class
        for product in products:
            wide = [
                of_class[classes[ids]][np.unravel_index(np.arange(product.whole.size), product.whole.shape)[axis]]
                for axis, ids in enumerate(product.factors)
                if ids is not None and axis != free.get(id(product))
            ]
            if id(product) in free:
                wide.append(classes[product.whole].reshape(-1, 1))
            found = _packed(np.concatenate(wide, axis=1), locks)
            width = max(new.shape[1], found.shape[1])
            new = np.pad(new, ((0, 0), (0, width - new.shape[1])), constant_values=-1)
            new[classes[product.whole].reshape(-1)] = np.pad(
                found, ((0, 0), (0, width - found.shape[1])), constant_values=-1
            )
        if new.shape == of_class.shape and (new == of_class).all():
            break
        of_class = new
    return of_class[classes] if count else of_class


def _packed(rows: Ids, locks: Ids) -> Ids:
    """Sort each row's classes that may go to the front, without repeats, and cut off what is empty."""
    rows = np.where((rows >= 0) & (locks[rows] < 0), rows, -1)
    rows = -np.sort(-rows, axis=1)
    rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = -1
    rows = -np.sort(-rows, axis=1)
    return rows[:, : max(1, int((rows >= 0).sum(axis=1).max(initial=1)))]
