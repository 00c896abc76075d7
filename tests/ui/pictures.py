"""Scenes to draw, without a model."""

from __future__ import annotations

import numpy as np

from studio.core.drawing.blocks import Block, cut_blocks
from studio.core.drawing.items import make_items
from studio.core.drawing.layering import place_items
from studio.core.drawing.outline import Outline
from studio.core.drawing.picture import Picture
from studio.ui.graph.scene import Scene


def scene(operators: list[str], edges: list[tuple[int, int]], *, closed: bool = False) -> Scene:
    count = len(operators)
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    names = [f"n{index}" for index in range(count)]
    outline = Outline(
        names=names,
        operators=operators,
        shapes=["float32 [1, 8]"] * count,
        searched=[f"{name}\n{name}/out" for name in names],
        edges=pairs,
        macs=np.arange(count),
        moved=np.arange(count),
        weights=np.arange(count),
        fed=np.ones(count, bool),
        constants=0,
    )
    blocks: list[Block] = cut_blocks(operators, pairs) if closed else []
    items = make_items(count, pairs, blocks, frozenset())
    return Scene(Picture.of(outline, blocks, items, place_items(items.edges, items.any(outline.fed))))


def chain(count: int) -> Scene:
    return scene(["Relu"] * count, [(index, index + 1) for index in range(count - 1)])


def residual(blocks: int, *, closed: bool = False) -> Scene:
    operators, edges, last = ["Conv"], [], 0
    for _ in range(blocks):
        first = len(operators)
        operators += ["Conv", "Relu", "Conv", "Add"]
        edges += [(last, first), (first, first + 1), (first + 1, first + 2), (first + 2, first + 3), (last, first + 3)]
        last = first + 3
    return scene(operators, edges, closed=closed)
