"""Lay out a model's graph for drawing; weights are not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.drawing.blocks import find_blocks
from studio.core.drawing.items import make_items, overview
from studio.core.drawing.layering import place_items
from studio.core.drawing.outline import Outline
from studio.core.drawing.picture import Picture
from studio.core.frozen import Frozen
from studio.core.modelfile import read_light_proto
from studio.core.report import Reporter


class LayOutGraph(Frozen):
    """The model to draw, and the file that the picture goes to.

    `opened` lists the keys of the blocks to open: those of an overview when None.
    """

    artifact: Artifact
    target: Path
    opened: tuple[str, ...] | None = None


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Lay out the model of a `LayOutGraph` payload: writes a `Picture` to its target."""
    wanted = LayOutGraph.model_validate(payload)
    reporter.progress(0, 3, "reading the graph")
    outline = Outline.of(read_light_proto(wanted.artifact.path))
    reporter.check()
    reporter.progress(1, 3, "finding blocks")
    blocks = find_blocks(outline.names, outline.operators, outline.edges)
    if wanted.opened is None:
        opened = overview(len(outline.names), blocks)
    else:
        keys = set(wanted.opened)
        opened = frozenset(index for index, block in enumerate(blocks) if block.key in keys)
    items = make_items(len(outline.names), outline.edges, blocks, opened)
    reporter.progress(2, 3, "laying out")
    reporter.check()
    places = place_items(items.edges, items.any(outline.fed))
    Picture.of(outline, blocks, items, places).save(wanted.target)
    return {"nodes": len(outline.names), "items": len(items.node)}
