"""Parts of a graph that are one thing to a person: modules by their names, residual blocks by their shape.

Exporters name nodes by the module that they come from (``/layer1/layer1.0/conv1/Conv``): these scopes are the blocks.
Where names tell nothing, the graph is cut at the tensors that everything passes through, as the output of a residual
sum does: what branches between two cuts is a block. Blocks that repeat are numbered.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: fewer nodes than this are not worth a block
SMALLEST = 3
#: share of the nodes that names must put into blocks to be followed
NAMED = 0.5
#: larger parts are cut further
LARGEST = 40
#: where more tensors cross than this, there is no cut
MOST_CROSSING = 6
#: so many different parts in turn are seen as a repetition: attention and feed-forward, say
LONGEST_PERIOD = 4
#: fewer scopes tell nothing: one around everything, say
FEWEST_SCOPES = 3
ROOT = -1


@dataclass(frozen=True)
class Block:
    """A part of the graph.

    Attributes
    ----------
    key
        A stable name, unique in the graph.
    title
        What a person reads.
    parent
        Index of the block that it is in; `ROOT` for none.
    nodes
        Indices of all its nodes, those of inner blocks too, ascending.
    """

    key: str
    title: str
    parent: int
    nodes: tuple[int, ...]


def find_blocks(names: Sequence[str], operators: Sequence[str], edges: NDArray[np.int64]) -> list[Block]:
    """Find the blocks of a graph; parents come before what is in them.

    Parameters
    ----------
    names, operators
        Of each node, in topological order.
    edges
        ``(edges, 2)``.
    """
    scoped = scope_blocks([name.removeprefix(f"{kind}:") for name, kind in zip(names, operators, strict=True)])
    inside = {node for block in scoped for node in block.nodes}
    if len(scoped) >= FEWEST_SCOPES and len(inside) >= NAMED * len(names):
        return scoped
    return cut_blocks(operators, edges)


def scope_blocks(names: Sequence[str]) -> list[Block]:
    """Group nodes by the scopes in their names; scopes that hold nothing but another scope are left out."""
    members: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        parts = scopes(name)
        for depth in range(1, len(parts) + 1):
            members[parts[:depth]].append(index)
    # a scope that holds nothing but one other is the same thing to a person
    shells = {path[:-1] for path, nodes in members.items() if len(nodes) == len(members.get(path[:-1], ()))}
    kept = {
        path: nodes for path, nodes in members.items() if SMALLEST <= len(nodes) < len(names) and path not in shells
    }
    order = sorted(kept, key=lambda path: (len(path), kept[path][0]))
    place = {path: index for index, path in enumerate(order)}
    return [Block("/".join(path), path[-1], _parent(path, place), tuple(kept[path])) for path in order]


def scopes(name: str) -> tuple[str, ...]:
    """Split a node's name into its scopes, its own part left out.

    ``/layer1/layer1.0/conv1/Conv`` gives ``("layer1", "layer1.0", "conv1")``.
    """
    parts = [part for part in re.split(r"[/]|::", name) if part]
    return tuple(parts[:-1])


def cut_blocks(operators: Sequence[str], edges: NDArray[np.int64]) -> list[Block]:
    """Cut a graph at the tensors that everything passes through, and group blocks that repeat into stages."""
    segments = [segment for segment in _segments(len(operators), edges) if len(segment) >= SMALLEST]
    signatures = [tuple(operators[node] for node in segment) for segment in segments]
    blocks: list[Block] = []
    for number, (start, stop, period) in enumerate(_runs(signatures)):
        parent = ROOT
        if stop - start > 1:
            members = sorted(node for segment in segments[start:stop] for node in segment)
            what = "; ".join(summary(operators, segment) for segment in segments[start : start + period])
            title = f"Stage {number + 1}: {(stop - start) // period} x {what}"
            parent = len(blocks)
            blocks.append(Block(f"stage-{members[0]}-{len(members)}", title, ROOT, tuple(members)))
        for segment in segments[start:stop]:
            title = f"Block {_number(blocks) + 1}: {summary(operators, segment)}"
            blocks.append(Block(f"block-{segment[0]}-{len(segment)}", title, parent, tuple(segment)))
    whole = len(operators)
    return _without(blocks, [index for index, block in enumerate(blocks) if len(block.nodes) == whole])


def summary(operators: Sequence[str], nodes: Sequence[int]) -> str:
    """Name what a block mostly does, such as ``3 Conv, Add``."""
    counts = Counter(operators[node] for node in nodes)
    heavy = [name for name in counts if name in ("Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "Attention")]
    shown = heavy or [name for name, _ in counts.most_common(2)]
    return ", ".join(f"{counts[name]} {name}" if counts[name] > 1 else name for name in shown[:3])


def _segments(count: int, edges: NDArray[np.int64]) -> Iterator[list[int]]:
    """Give the parts between two cuts, in order; parts that stay large are cut where the fewest tensors cross."""
    import numpy as np

    place = _places(count, edges)
    order = np.argsort(place, kind="stable")
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    last = np.arange(count)
    np.maximum.at(last, rank[edges[:, 0]], rank[edges[:, 1]])
    # makers whose result is still wanted behind each place; what needs no activation is made where it is used
    lasting = place[order] == np.floor(place[order])
    opened = np.zeros(count + 1, np.int64)
    np.add.at(opened, np.flatnonzero(lasting), 1)
    np.add.at(opened, last[lasting], -1)
    for span in _cut(np.cumsum(opened)[:count], 0, count):
        yield sorted(int(node) for node in order[span.start : span.stop])


def _places(count: int, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give each node its place in the order; what has no predecessor stands half a step before its first user."""
    import numpy as np

    place = np.arange(count, dtype=np.float64)
    first = np.full(count, count, np.int64)
    np.minimum.at(first, edges[:, 0], edges[:, 1])
    made = np.zeros(count, bool)
    made[edges[:, 1]] = True
    alone = ~made & (first > np.arange(count) + 1) & (first < count)
    place[alone] = first[alone] - 0.5
    return place


def _cut(crossing: NDArray[np.int64], start: int, stop: int) -> Iterator[range]:
    """Cut a span of places where few tensors cross: one, or in a part that stays large as few as cut it at all."""
    parts = [range(start, stop)]
    for most in range(1, MOST_CROSSING + 1):
        parts = _parts(crossing, start, stop, most)
        if len(parts) > 1:
            break
    for part in parts:
        if len(part) <= LARGEST or len(parts) == 1:
            yield part
        else:
            yield from _cut(crossing, part.start, part.stop)


def _parts(crossing: NDArray[np.int64], start: int, stop: int, most: int) -> list[range]:
    """Cut after each branching part; what stands in a line before one begins it, as a strided convolution does."""
    found, begin, line = [], start, start
    for at in range(start, stop):
        if crossing[at] > most and at < stop - 1:
            continue
        if at > line or at == stop - 1:
            found.append(range(begin, at + 1))
            begin = at + 1
        line = at + 1
    return found


def _runs(signatures: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, int, int]]:
    """Give the runs of equal neighbours, or of equal groups of a few, as start, stop and size of the group."""
    start, count = 0, len(signatures)
    while start < count:
        best = (start + 1, 1)
        for period in range(1, LONGEST_PERIOD + 1):
            stop = start + period
            while stop < count and signatures[stop] == signatures[stop - period]:
                stop += 1
            stop -= (stop - start) % period
            if stop - start >= 2 * period and stop > best[0]:
                best = (stop, period)
        yield start, *best
        start = best[0]


def _parent(path: tuple[str, ...], place: dict[tuple[str, ...], int]) -> int:
    for depth in range(len(path) - 1, 0, -1):
        if path[:depth] in place:
            return place[path[:depth]]
    return ROOT


def _number(blocks: Sequence[Block]) -> int:
    return sum(block.key.startswith("block-") for block in blocks)


def _without(blocks: list[Block], gone: Sequence[int]) -> list[Block]:
    """Leave blocks out; what is in them moves up."""
    place = {ROOT: ROOT}
    kept: list[Block] = []
    for index, block in enumerate(blocks):
        if index in gone:
            place[index] = place[block.parent]
            continue
        place[index] = len(kept)
        kept.append(replace(block, parent=place[block.parent]))
    return kept
