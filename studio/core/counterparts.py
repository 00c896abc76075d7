"""Which nodes of one graph stand for which of another, and what became of them: for two graphs side by side.

`studio.core.matching` pairs tensors whose values can be compared, and `studio.core.diagnosis.matching` kernels whose
times can be; this pairs all nodes of two graphs, for the eye.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from studio.core.artifact import Artifact
from studio.core.frozen import Frozen, digest
from studio.core.modelfile import read_model
from studio.core.weights import DOMAINS, content, named_nodes

Status = Literal["same", "re-typed", "rewritten", "fused", "added", "removed"]
#: of a weight, so many elements are looked at to recognize it
LOOKED_AT = 4096
#: stretches of this many pairs at most are aligned node by node
MOST_PAIRS = 4_000_000
#: weights with fewer elements do not tell one node from another
TELLING = 16


class Counterparts(Frozen):
    """Nodes of the second model to those of the first that they stand for; `by` says what they were matched by."""

    pairs: dict[str, tuple[str, ...]]
    by: Literal["provenance", "structure"] = "provenance"


class Kind(NamedTuple):
    """What is compared of a node: its operator, and the element type of its result."""

    operator: str
    dtype: str


class Marks(NamedTuple):
    """What became of each node of the first graph and of the second; and which node stands for which, one to one."""

    first: dict[str, Status]
    second: dict[str, Status]
    main: dict[str, str]


def by_provenance(
    first: Iterable[str],
    second: Iterable[str],
    first_origins: Mapping[str, tuple[str, ...]] | None,
    second_origins: Mapping[str, tuple[str, ...]] | None,
) -> Counterparts:
    """Match nodes that came from the same nodes of a third model; None for origins means that it is that model."""
    owners: dict[str, list[str]] = defaultdict(list)
    for name in first:
        for origin in (name,) if first_origins is None else first_origins.get(name, ()):
            owners[origin].append(name)
    pairs = {}
    for name in second:
        origins = (name,) if second_origins is None else second_origins.get(name, ())
        pairs[name] = tuple(dict.fromkeys(owner for origin in origins for owner in owners.get(origin, ())))
    return Counterparts(pairs=pairs)


def by_structure(first: Artifact, second: Artifact) -> Counterparts:
    """Match the nodes of two models whose history is not known.

    Nodes with the same weights are anchors, then those of the same name, operator and shape of weights. Between
    anchors in the order of both graphs, nodes are aligned by operator and shape of weights.
    """
    one, other = _traits(first), _traits(second)
    pairs: dict[int, int] = {}
    for trait in ("weights", "name"):
        _pair_unique(one, other, trait, pairs)
    anchors = _increasing(sorted((at, to) for to, at in pairs.items()))
    low = other_low = 0
    for at, to in [*anchors, (len(one), len(other))]:
        _align(one, other, range(low, at), range(other_low, to), pairs)
        low, other_low = at + 1, to + 1
    found = {other[to].name: (one[at].name,) for to, at in pairs.items()}
    return Counterparts(pairs=found, by="structure")


def mark(first: Mapping[str, Kind], second: Mapping[str, Kind], pairs: Mapping[str, tuple[str, ...]]) -> Marks:
    """Say what became of each node.

    Of several nodes of the second graph that stand for one of the first, one is its main counterpart: that of the
    same name and operator, else of the same operator, else the last; the others were added around it.
    """
    standing: dict[str, list[str]] = defaultdict(list)
    for name, sources in pairs.items():
        for source in sources:
            if source in first and name in second:
                standing[source].append(name)
    main = {source: _main(source, names, first, second) for source, names in standing.items()}
    parts: dict[str, list[str]] = defaultdict(list)
    for source, name in main.items():
        parts[name].append(source)
    after: dict[str, Status] = {}
    for name, kind in second.items():
        ends = parts.get(name, [])
        after[name] = "added" if not ends else "fused" if len(ends) > 1 else _became(first[ends[0]], kind)
    before: dict[str, Status] = {name: after[main[name]] if name in main else "removed" for name in first}
    return Marks(before, after, main)


def _became(before: Kind, after: Kind) -> Status:
    if before.operator != after.operator:
        return "rewritten"
    return "re-typed" if before.dtype and after.dtype and before.dtype != after.dtype else "same"


def _main(source: str, names: Sequence[str], first: Mapping[str, Kind], second: Mapping[str, Kind]) -> str:
    operator = first[source].operator
    return max(names, key=lambda name: (second[name].operator == operator, name == source, names.index(name)))


class _Trait(NamedTuple):
    """What a node is recognized by: `weights` is empty without weights that tell it from others."""

    name: str
    operator: str
    shapes: tuple[tuple[int, ...], ...]
    weights: str

    @property
    def key(self) -> tuple[str, tuple[tuple[int, ...], ...]]:
        return self.operator, self.shapes


def _traits(artifact: Artifact) -> list[_Trait]:
    import numpy as np

    model = read_model(artifact)
    found = []
    for name, node in named_nodes(model):
        if node.graph is not model.graph or (node.op_type == "Constant" and not node.domain):
            continue
        tensors = [tensor for value in node.inputs if (tensor := content(value)) is not None]
        shapes = tuple(tuple(int(str(size)) for size in tensor.shape) for tensor in tensors)
        parts = [
            [str(tensor.dtype), list(shape), np.asarray(tensor.numpy()).reshape(-1)[:LOOKED_AT].tobytes().hex()]
            for tensor, shape in zip(tensors, shapes, strict=True)
            if tensor.size >= TELLING and tensor.dtype.name != "STRING"
        ]
        operator = node.op_type if node.domain in DOMAINS else f"{node.domain}.{node.op_type}"
        found.append(_Trait(name, operator, shapes, digest(parts) if parts else ""))
    return found


def _pair_unique(one: Sequence[_Trait], other: Sequence[_Trait], trait: str, pairs: dict[int, int]) -> None:
    """Pair nodes of which each graph has one with this trait."""
    taken, given = set(pairs.values()), set(pairs)

    def places(nodes: Sequence[_Trait], used: set[int]) -> dict[object, int]:
        keys = [
            (node.weights or None) if trait == "weights" else (node.name, node.operator, node.shapes) for node in nodes
        ]
        counts = Counter(keys)
        return {key: at for at, key in enumerate(keys) if key is not None and counts[key] == 1 and at not in used}

    here, there = places(one, taken), places(other, given)
    for key, at in here.items():
        if key in there:
            pairs[there[key]] = at


def _increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Take the longest run of pairs that keeps the order of both graphs."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for index, (_, to) in enumerate(pairs):
        place = bisect.bisect_left(ends, to)
        before.append(last[place - 1] if place else -1)
        ends[place : place + 1] = [to]
        last[place : place + 1] = [index]
    found = []
    index = last[-1] if last else -1
    while index >= 0:
        found.append(pairs[index])
        index = before[index]
    return found[::-1]


def _align(one: Sequence[_Trait], other: Sequence[_Trait], here: range, there: range, pairs: dict[int, int]) -> None:
    """Align two stretches without anchors by operator and shapes of weights, then by operator alone."""
    taken = set(pairs.values())
    for shapes in (True, False):
        left = [at for at in here if at not in taken]
        right = [to for to in there if to not in pairs]
        if not left or not right:
            return
        keys = [one[at].key if shapes else one[at].operator for at in left]
        others = [other[to].key if shapes else other[to].operator for to in right]
        # with many alike nodes the exact search takes the square of their number
        rough = len(left) * len(right) > MOST_PAIRS
        for block in SequenceMatcher(None, keys, others, autojunk=rough).get_matching_blocks():
            for step in range(block.size):
                pairs[right[block.b + step]] = left[block.a + step]
                taken.add(left[block.a + step])
