"""A laid-out graph: arrays that a canvas paints from, kept in one file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.drawing.blocks import Block
from studio.core.drawing.items import Items
from studio.core.drawing.layering import Places
from studio.core.drawing.outline import Outline
from studio.core.drawing.texts import Texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TEXTS = ("names", "operators", "shapes", "searched")
_ARRAYS = ("x", "row", "node", "block", "of_node", "edges", "cut", "corners", "ends", "macs", "moved", "weights")


@dataclass(frozen=True)
class Picture:
    """Items with their places, and what is known of the nodes.

    Attributes
    ----------
    names, operators, shapes, searched
        Texts of each node.
    x, row
        ``(items,)``: in item widths to the right, and rows from the top.
    node, block
        ``(items,)``: the node or the collapsed block that an item is; -1 for the other kind.
    of_node
        ``(nodes,)``: the item that stands for a node.
    edges, cut
        ``(edges, 2)``: pairs of items whose edge is drawn, and whose edge is a stub on both sides.
    corners, ends
        float32 ``(corners, 2)`` as ``(x, row)``, and where those of each drawn edge end.
    macs, moved, weights
        int64 ``(nodes,)``; see `studio.core.drawing.outline.Outline`.
    blocks
        All blocks, parents first.
    opened
        Indices of the blocks that are shown with what is in them.
    constants
        How many Constant nodes are not drawn.
    """

    names: Texts
    operators: Texts
    shapes: Texts
    searched: Texts
    x: NDArray[np.float32]
    row: NDArray[np.int32]
    node: NDArray[np.int64]
    block: NDArray[np.int64]
    of_node: NDArray[np.int64]
    edges: NDArray[np.int64]
    cut: NDArray[np.int64]
    corners: NDArray[np.float32]
    ends: NDArray[np.int64]
    macs: NDArray[np.int64]
    moved: NDArray[np.int64]
    weights: NDArray[np.int64]
    blocks: tuple[Block, ...]
    opened: frozenset[int]
    constants: int

    @classmethod
    def of(cls, outline: Outline, blocks: list[Block], items: Items, places: Places) -> Picture:
        """Put a picture together."""
        import numpy as np

        corners = np.concatenate(places.routes) if places.routes else np.zeros((0, 2))
        return cls(
            names=Texts.of(outline.names),
            operators=Texts.of(outline.operators),
            shapes=Texts.of(outline.shapes),
            searched=Texts.of(outline.searched),
            x=places.x.astype(np.float32),
            row=places.row.astype(np.int32),
            node=items.node,
            block=items.block,
            of_node=items.of_node,
            edges=places.edges,
            cut=places.cut,
            corners=corners.astype(np.float32),
            ends=np.cumsum([len(route) for route in places.routes], dtype=np.int64),
            macs=outline.macs,
            moved=outline.moved,
            weights=outline.weights,
            blocks=tuple(blocks),
            opened=items.opened,
            constants=outline.constants,
        )

    def save(self, path: Path) -> None:
        """Write it to a ``.npz`` file."""
        import numpy as np

        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        for name in _TEXTS:
            texts: Texts = getattr(self, name)
            arrays |= {f"{name}_content": texts.content, f"{name}_ends": texts.ends}
        rest = {
            "blocks": [(block.key, block.title, block.parent, block.nodes) for block in self.blocks],
            "opened": sorted(self.opened),
            "constants": self.constants,
        }
        arrays["rest"] = np.frombuffer(json.dumps(rest).encode(), np.uint8)
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Picture:
        """Read it from a file that `save` wrote."""
        import numpy as np

        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        rest = json.loads(arrays["rest"].tobytes())
        parts: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        parts |= {name: Texts(arrays[f"{name}_content"], arrays[f"{name}_ends"]) for name in _TEXTS}
        return cls(
            **parts,
            blocks=tuple(Block(key, title, parent, tuple(nodes)) for key, title, parent, nodes in rest["blocks"]),
            opened=frozenset(rest["opened"]),
            constants=rest["constants"],
        )
