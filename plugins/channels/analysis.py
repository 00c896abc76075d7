"""The groups of a model: units that are alike, and where they sit."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from studio.api import Scope, left_alone, named_nodes

from .copies import Copies
from .elements import Even
from .group import Group, Kind, Port
from .resolve import Resolved, resolve
from .sizes import constant, tensor_sizes
from .tracer import Layer, Tracer
from .walk import walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .elements import Ids, Product
    from .group import Units

OUTSIDE = "{} makes it and is not selected"


@dataclass(frozen=True)
class Place:
    """Where units stand in a constant: ``units[i]`` is the unit that index ``i`` along the axis goes with, or -1.

    For the inputs of a grouped convolution's weight each group has its own: `units` is then of shape
    ``(groups, inputs of a group)``.
    """

    constant: str
    axis: int
    units: Units


@dataclass(frozen=True)
class Analysis:
    """Everything that is known of a model's units.

    Attributes
    ----------
    groups, warnings
        See `find_groups`.
    tracer, resolved
        The elements and their classes.
    members
        ``(classes,)``: the number of each class among all units, -1 for those of no group.
    starts
        The number of the first unit of each group.
    copies
        Copies of shared vectors, in the model only while units are removed.
    """

    groups: list[Group]
    warnings: tuple[str, ...]
    tracer: Tracer
    resolved: Resolved
    members: Ids
    starts: tuple[int, ...]
    copies: Copies

    def units(self, ids: Ids, group: int) -> Units:
        """Give the unit of a group that each element goes with, -1 for none."""
        own = self.resolved.owners[ids]
        numbers = np.where(own >= 0, self.members[own], -1)
        first = self.starts[group]
        inside = (numbers >= first) & (numbers < first + self.groups[group].size)
        return np.asarray(np.where(inside, numbers - first, -1).max(axis=-1), dtype=np.intp)

    def places(self, key: str) -> list[Place]:
        """List where the units of a group stand in initializers and Constant nodes."""
        number = next(index for index, group in enumerate(self.groups) if group.key == key)
        found = []
        for name, axis, ids in constant_axes(self.tracer):
            units = self.units(ids, number)
            if (units >= 0).any():
                found.append(Place(name, axis, units))
        return found


def find_groups(model: ir.Model, scope: Scope) -> tuple[list[Group], tuple[str, ...]]:
    """List the groups of units of a model's main graph, in graph order, and warnings about those that are locked.

    Weights are not read. Groups that no layer makes (the channels of an input) are not listed, nor
    are those none of whose makers is in the scope; where only some are, the group is locked.
    """
    found = analyze(model, scope)
    return found.groups, found.warnings


def analyze(model: ir.Model, scope: Scope) -> Analysis:
    """Follow the units of a model; see `find_groups`."""
    copies = Copies.of(model)
    copies.put_in()
    try:
        tracer = walk(model)
    finally:
        copies.take_out()
    while True:
        resolved = resolve(tracer.elements)
        drafts, members = _drafts(tracer, resolved)
        uneven = [even for even in tracer.elements.evens if not _even(even, resolved, drafts, members)]
        tied = {
            place
            for place, (product, axis) in resolved.loose.items()
            if not _even(_beside(product, axis), resolved, drafts, members)
        }
        if not uneven and not tied:
            break
        tracer.elements.tied |= tied
        for even in uneven:
            tracer.elements.join_all(even.rows)
            tracer.elements.evens.remove(even)
    return _finished(tracer, resolved, drafts, members, scope, copies)


@dataclass
class _Draft:
    """A group in the making."""

    classes: Ids
    locked: str
    layers: list[Layer]
    first: int
    parts: Units


def _drafts(tracer: Tracer, resolved: Resolved) -> tuple[list[_Draft], Ids]:
    """Put classes together that stand in the same layers the same number of times, and number the units."""
    signature, makers = _signatures(tracer, resolved)
    candidates = np.flatnonzero(makers)
    order: dict[tuple[int, int], list[int]] = defaultdict(list)
    firsts = np.full(len(makers), np.iinfo(np.int64).max)
    for position, layer in reversed(list(enumerate(tracer.layers))):
        own = resolved.owners[layer.ids].reshape(-1)
        if layer.role == "maker":
            firsts[own[own >= 0]] = position
    for one in candidates:
        order[int(signature[one]), int(resolved.locks[one])].append(int(one))
    groups = sorted(order.items(), key=lambda item: (firsts[item[1][0]], item[1][0]))
    members = np.full(len(makers), -1, dtype=np.int64)
    drafts, first = [], 0
    for (_, lock), classes in groups:
        numbers = np.asarray(classes, dtype=np.int64)
        members[numbers] = first + np.arange(len(numbers))
        locked = resolved.reasons[lock] if lock >= 0 else ""
        drafts.append(_Draft(numbers, locked, [], first, np.zeros(len(numbers), dtype=np.intp)))
        first += len(numbers)
    of_class = np.full(len(makers), -1, dtype=np.int64)
    for index, draft in enumerate(drafts):
        of_class[draft.classes] = index
    for layer in tracer.layers:
        own = resolved.owners[layer.ids]
        for index in np.unique(of_class[own[own >= 0]]):
            if index >= 0:
                drafts[index].layers.append(layer)
    return drafts, members


def _signatures(tracer: Tracer, resolved: Resolved) -> tuple[Ids, Ids]:
    """Give for each class a number that says in which layers it stands, and whether any of them makes it."""
    size = len(resolved.locks)
    signature = np.zeros(size, dtype=np.uint64)
    makers = np.zeros(size, dtype=bool)
    random = np.random.default_rng(0)
    places = [(layer.ids, layer.role == "maker") for layer in tracer.layers]
    factors = [ids for product in resolved.products for ids in product.factors if ids is not None]
    for ids, makes in [*places, *((ids, False) for ids in factors)]:
        own = resolved.owners[ids].reshape(-1)
        own, counts = np.unique(own[own >= 0], return_counts=True)
        signature[own] += counts.astype(np.uint64) * random.integers(1, 1 << 63, dtype=np.uint64)
        if makes:
            makers[own] = True
    return signature.view(np.int64), makers


def _even(even: Even, resolved: Resolved, drafts: list[_Draft], members: Ids) -> bool:
    """Say whether the same number of elements stays in each row, given equal numbers in the parts of groups.

    Parts are noted in the groups where they need to be.
    """
    own = resolved.classes[even.rows][..., None] if even.alone else resolved.owners[even.rows]
    numbers = np.sort(np.where(own >= 0, members[own], -1), axis=-1)
    known = (numbers >= 0).any(axis=-1)
    if (known.any() and not known.all() and not _all_locked(own[..., 0], resolved)) or not _rectangular(numbers):
        return False
    for draft in drafts:
        inside = (numbers >= draft.first) & (numbers < draft.first + len(draft.classes))
        if draft.locked or not inside.any():
            continue
        counts = np.zeros((len(draft.classes), len(even.rows)), dtype=np.int64)
        np.add.at(counts, (numbers[inside] - draft.first, np.nonzero(inside)[0]), 1)
        if (counts == counts[:, :1]).all():
            continue
        parts = _parts(counts)
        both = None if parts is None else _refined(draft.parts, parts)
        if both is None:
            return False
        draft.parts = both
    return True


def _beside(product: Product, axis: int) -> Even:
    """Give the rows of a loose product: its elements beside each element of the other factors."""
    return Even(np.moveaxis(product.whole, axis, -1).reshape(-1, product.whole.shape[axis]), alone=True)


def _rectangular(numbers: Ids) -> bool:
    """Say whether each row holds every pair of its elements' owners equally often, where elements have two.

    What stays of a row is then the product of what stays of either.
    """
    if (numbers[..., :-1] < 0).all():
        return True
    two = numbers[..., -2:]
    if (numbers[..., :-2] >= 0).any() or (two < 0).any():
        return False
    for row in two:
        pairs, counts = np.unique(row, axis=0, return_counts=True)
        sizes = [len(np.unique(pairs[:, side])) for side in range(2)]
        if len(pairs) != sizes[0] * sizes[1] or (counts != counts[0]).any():
            return False
    return True


def _all_locked(own: Ids, resolved: Resolved) -> bool:
    return bool((resolved.locks[own[own >= 0]] >= 0).all())


def _parts(counts: Ids) -> Units | None:
    """Give the row that each unit stands in, where each stands in one and the rows are alike."""
    rows = counts.argmax(axis=1)
    most = counts.max(axis=1)
    each = np.bincount(rows, minlength=counts.shape[1])
    if (counts.sum(axis=1) != most).any() or (most != most[0]).any() or (each != each[0]).any():
        return None
    return np.asarray(rows, dtype=np.intp)


def _refined(one: Units, other: Units) -> Units | None:
    """Give the finer of two partitions; None where neither refines the other, or the parts are not alike."""
    _, both = np.unique(np.stack([one, other]), axis=1, return_inverse=True)
    both = both.reshape(-1)
    sizes = np.bincount(both)
    if len(sizes) > max(len(np.unique(one)), len(np.unique(other))) or (sizes != sizes[0]).any():
        return None
    return np.asarray(both, dtype=np.intp)


def _finished(
    tracer: Tracer, resolved: Resolved, drafts: list[_Draft], members: Ids, scope: Scope, copies: Copies
) -> Analysis:
    kept: list[Group] = []
    starts: list[int] = []
    refused: dict[str, list[str]] = defaultdict(list)
    keys: set[str] = set()
    heads = _classes(resolved, tracer.heads)
    states = _classes(resolved, tracer.states)
    weights = _parameters(tracer, resolved)
    macs = _spread(resolved, tracer.work)
    for draft in drafts:
        makers = [layer for layer in draft.layers if layer.role == "maker"]
        chosen = [scope.selects(layer.name, layer.node.op_type) for layer in makers]
        if len(draft.classes) < 2 or not any(chosen):
            continue
        locked = draft.locked
        if not locked and not all(chosen):
            locked = OUTSIDE.format(tracer.describe(makers[chosen.index(False)].node))
        if locked:
            refused[locked].extend(dict.fromkeys(layer.name for layer in makers))
        key = str(makers[0].tensor.name)
        while key in keys:
            key += "'"
        keys.add(key)
        group = Group(
            key=key,
            kind=_kind(draft, heads, states),
            size=len(draft.classes),
            makers=tuple(_port(layer, draft, resolved, members) for layer in makers),
            readers=tuple(_port(layer, draft, resolved, members) for layer in draft.layers if layer.role == "reader"),
            parts=draft.parts,
            locked=locked,
            parameters=float(weights[draft.classes].mean()),
            macs=float(macs[draft.classes].mean()),
        )
        kept.append(group)
        starts.append(draft.first)
    for name, node in named_nodes(tracer.model):
        if node.graph is not tracer.model.graph and tracer.is_layer(node) and scope.selects(name, node.op_type):
            refused["it stands in a subgraph"].append(name)
    return Analysis(kept, left_alone(refused), tracer, resolved, members, tuple(starts), copies)


def _classes(resolved: Resolved, found: list[Ids]) -> set[int]:
    own = [np.unique(resolved.owners[ids]) for ids in found]
    return {int(one) for array in own for one in array if one >= 0}


def _kind(draft: _Draft, heads: set[int], states: set[int]) -> Kind:
    if int(draft.classes[0]) in heads:
        return "heads"
    if int(draft.classes[0]) in states:
        return "states"
    convolutions = any(layer.node.op_type in ("Conv", "ConvTranspose") for layer in draft.layers)
    return "channels" if convolutions else "neurons"


def _port(layer: Layer, draft: _Draft, resolved: Resolved, members: Ids) -> Port:
    own = resolved.owners[layer.ids]
    numbers = np.where(own >= 0, members[own], -1)
    inside = (numbers >= draft.first) & (numbers < draft.first + len(draft.classes))
    units = np.where(inside, numbers - draft.first, -1).max(axis=-1)
    return Port(layer.name, str(layer.tensor.name), units.astype(np.intp))


def constant_axes(tracer: Tracer) -> Iterator[tuple[str, int, Ids]]:
    """List the axes of constants that hold elements: name, axis and elements.

    The second axis of a grouped convolution's weight has elements of shape ``(groups, inputs of a group)``.
    """
    for name, value in tracer.constants.items():
        tensor = constant(value)
        if tensor is None:
            continue
        for axis, ids in enumerate(tracer.axes[name]):
            if ids is not None:
                yield name, axis, ids
        if name in tracer.ragged:
            yield name, 1, tracer.ragged[name].inputs.reshape(-1, tensor_sizes(tensor)[1])


def _parameters(tracer: Tracer, resolved: Resolved) -> NDArray[np.float64]:
    """Count the elements of weights that go with each class."""
    sizes = [
        (math.prod(tensor_sizes(tensor)), ids)
        for name, _, ids in constant_axes(tracer)
        if (tensor := constant(tracer.constants[name])) is not None
    ]
    return _spread(resolved, sizes)


def _spread(resolved: Resolved, shares: Sequence[tuple[float, Ids]]) -> NDArray[np.float64]:
    """Spread numbers evenly over elements, and sum them up for each class that these go with."""
    total = np.zeros(len(resolved.locks), dtype=np.float64)
    for amount, ids in shares:
        own = resolved.owners[ids].reshape(-1)
        np.add.at(total, own[own >= 0], amount / ids.size)
    return total
