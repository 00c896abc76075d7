"""What stands in a picture: nodes, and blocks that are collapsed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.drawing.blocks import ROOT, Block

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: an overview shows blocks until there are more things than this
OVERVIEW = 60
#: smaller graphs are shown as they are
SMALL = 80


@dataclass(frozen=True)
class Items:
    """The things of a picture.

    Attributes
    ----------
    of_node
        int64 ``(nodes,)``: the item that stands for each node.
    node, block
        int64 ``(items,)``: the node, or the collapsed block, that each item is; -1 for the other kind.
    edges
        int64 ``(edges, 2)``: source and target item, each pair once; acyclic.
    opened
        Indices of the blocks that are shown with what is in them.
    """

    of_node: NDArray[np.int64]
    node: NDArray[np.int64]
    block: NDArray[np.int64]
    edges: NDArray[np.int64]
    opened: frozenset[int]

    def any(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Give for each item whether a flag of any of its nodes is set."""
        import numpy as np

        found = np.zeros(len(self.node), bool)
        np.logical_or.at(found, self.of_node, flags)
        return found


def overview(count: int, blocks: Sequence[Block], most: int = OVERVIEW) -> frozenset[int]:
    """Choose blocks to open, outermost and largest first, as long as the picture stays a small one."""
    if count <= SMALL:
        return frozenset(range(len(blocks)))
    opened: set[int] = set()
    inner: dict[int, list[int]] = {}
    for index, block in enumerate(blocks):
        inner.setdefault(block.parent, []).append(index)

    def shown(parent: int, size: int) -> int:
        below = inner.get(parent, [])
        return size - sum(len(blocks[index].nodes) - 1 for index in below)

    total = shown(ROOT, count)
    waiting = list(inner.get(ROOT, []))
    while candidates := [index for index in waiting if index in inner]:
        largest = max(candidates, key=lambda index: len(blocks[index].nodes))
        more = shown(largest, len(blocks[largest].nodes)) - 1
        if total + more > most:
            break
        total += more
        opened.add(largest)
        waiting.remove(largest)
        waiting.extend(inner[largest])
    return frozenset(opened)


def make_items(count: int, edges: NDArray[np.int64], blocks: Sequence[Block], opened: Collection[int]) -> Items:
    """Collapse all blocks but some.

    A block that would stand both before and after something else is opened too, so that all edges lead down.

    Parameters
    ----------
    count
        Of the nodes.
    edges
        ``(edges, 2)``, between nodes.
    """
    shown = set(opened)
    while True:
        owners = _owners(count, blocks, shown)
        items = _items(owners, edges, shown)
        tangled = _tangled(items)
        if not tangled:
            return items
        shown |= tangled


def _owners(count: int, blocks: Sequence[Block], opened: Collection[int]) -> NDArray[np.int64]:
    """Give the outermost collapsed block of each node; -1 for none."""
    import numpy as np

    owner = np.full(count, -1, np.int64)
    hidden: set[int] = set()
    for index, block in enumerate(blocks):
        if block.parent in hidden or (block.parent != ROOT and block.parent not in opened):
            hidden.add(index)
        elif index not in opened:
            owner[list(block.nodes)] = index
            hidden.add(index)
    return owner


def _items(owners: NDArray[np.int64], edges: NDArray[np.int64], opened: Collection[int]) -> Items:
    import numpy as np

    count = len(owners)
    # nodes first by themselves, blocks by their first node, so that items stand in topological order
    keys = np.where(owners < 0, np.arange(count), -1)
    for block in np.unique(owners[owners >= 0]):
        members = np.flatnonzero(owners == block)
        keys[members] = members[0]
    first, of_node = np.unique(keys, return_inverse=True)
    block = owners[first]
    node = np.where(block < 0, first, -1)
    pairs = of_node[edges] if len(edges) else np.zeros((0, 2), np.int64)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    pairs = np.unique(pairs, axis=0) if len(pairs) else pairs
    return Items(of_node.astype(np.int64), node, block, pairs, frozenset(opened))


def _tangled(items: Items) -> set[int]:
    """Find collapsed blocks that lie on a cycle."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = len(items.node)
    if not len(items.edges):
        return set()
    matrix = coo_array((np.ones(len(items.edges), np.int8), items.edges.T), shape=(size, size))
    parts, labels = connected_components(matrix.tocsr(), directed=True, connection="strong")
    if parts == size:
        return set()
    many = np.bincount(labels) > 1
    return {int(block) for block in items.block[many[labels]] if block >= 0}
