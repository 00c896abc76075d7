"""Where everything of a picture stands, in scene coordinates, and what of it is in a view. No widget, no painting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF

from studio.core.drawing.blocks import Block
from studio.core.drawing.picture import Picture

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
WIDTH, HEIGHT = 168.0, 44.0
STEP_X, STEP_Y = 190.0, 84.0
#: room around an opened block
PADDING = 14.0


@dataclass(frozen=True)
class Frame:
    """The border around an opened block."""

    block: int
    rect: QRectF
    depth: int


class Scene:
    """A picture in scene coordinates: x to the right, y down, one unit a pixel at zoom 1."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.left: Floats = picture.x.astype(np.float64) * STEP_X - WIDTH / 2
        self.top: Floats = picture.row.astype(np.float64) * STEP_Y
        corners = picture.corners.astype(np.float64)
        self.corners: Floats = np.stack([corners[:, 0] * STEP_X, corners[:, 1] * STEP_Y + HEIGHT / 2], axis=1)
        self.starts: Indices = np.concatenate([[0], picture.ends[:-1]]).astype(np.intp)[: len(picture.ends)]

    @property
    def count(self) -> int:
        """How many items there are: nodes and collapsed blocks."""
        return len(self.picture.x)

    @property
    def nodes(self) -> int:
        """How many nodes the graph has, constants left out."""
        return len(self.picture.of_node)

    def rect(self, item: int) -> QRectF:
        """Give the rectangle of an item."""
        return QRectF(float(self.left[item]), float(self.top[item]), WIDTH, HEIGHT)

    def block(self, item: int) -> Block | None:
        """Give the collapsed block that an item is."""
        index = int(self.picture.block[item])
        return self.picture.blocks[index] if index >= 0 else None

    def members(self, item: int) -> tuple[int, ...]:
        """Give the nodes that an item stands for."""
        block = self.block(item)
        return block.nodes if block is not None else (int(self.picture.node[item]),)

    def visible_items(self, view: QRectF) -> Indices:
        """Give the items that a view shows a part of."""
        inside = (self.left + WIDTH >= view.left()) & (self.left <= view.right())
        inside &= (self.top + HEIGHT >= view.top()) & (self.top <= view.bottom())
        return np.flatnonzero(inside)

    def visible_edges(self, view: QRectF) -> Indices:
        """Give the edges that may cross a view, as indices of routes."""
        if not len(self.starts):
            return np.zeros(0, np.intp)
        low, high = self._extents
        inside = (high[:, 0] >= view.left()) & (low[:, 0] <= view.right())
        inside &= (high[:, 1] >= view.top()) & (low[:, 1] <= view.bottom())
        return np.flatnonzero(inside)

    def route(self, edge: int) -> Floats:
        """Give the corners of an edge: ``(corners, 2)``, from the bottom of its source to the top of its target."""
        points = self.corners[self.starts[edge] : self.picture.ends[edge]].copy()
        points[0, 1] += HEIGHT / 2
        points[-1, 1] -= HEIGHT / 2
        return points

    def item_at(self, place: QPointF) -> int | None:
        """Give the item at a point."""
        found = self.visible_items(QRectF(place, place))
        return int(found[0]) if len(found) else None

    def frame_at(self, place: QPointF) -> Frame | None:
        """Give the innermost opened block whose title is at a point."""
        for frame in reversed(self.frames):
            if self.title(frame).contains(place):
                return frame
        return None

    def title(self, frame: Frame) -> QRectF:
        """Give where the title of an opened block stands: a strip along its upper edge."""
        return QRectF(frame.rect.left(), frame.rect.top(), min(frame.rect.width(), 2 * WIDTH), PADDING + 4)

    def neighbours(self, item: int, *, down: bool) -> Indices:
        """Give the items that use an item's outputs, or that make its inputs, from left to right."""
        edges = np.concatenate([self.picture.edges, self.picture.cut])
        near, far = (0, 1) if down else (1, 0)
        found = np.unique(edges[edges[:, near] == item, far]) if len(edges) else np.zeros(0, np.intp)
        return found[np.argsort(self.left[found], kind="stable")].astype(np.intp)

    def beside(self, item: int, *, right: bool) -> int | None:
        """Give the next item in the same row."""
        same = np.flatnonzero(self.top == self.top[item])
        there = same[self.left[same] > self.left[item]] if right else same[self.left[same] < self.left[item]]
        if not len(there):
            return None
        return int(there[np.argmin(np.abs(self.left[there] - self.left[item]))])

    def item_of(self, node: str) -> int | None:
        """Give the item that stands for a node."""
        index = self.index.get(node)
        return None if index is None else int(self.picture.of_node[index])

    @cached_property
    def index(self) -> dict[str, int]:
        """Name of a node to its index."""
        return {self.picture.names[at]: at for at in range(self.nodes)}

    @cached_property
    def cut(self) -> dict[int, tuple[list[int], list[int]]]:
        """Items to the items that they are cut from: above, below."""
        found: dict[int, tuple[list[int], list[int]]] = {}
        for source, target in self.picture.cut.tolist():
            found.setdefault(source, ([], []))[1].append(target)
            found.setdefault(target, ([], []))[0].append(source)
        return found

    @cached_property
    def bounds(self) -> QRectF:
        """The rectangle around everything."""
        if not self.count:
            return QRectF(0, 0, WIDTH, HEIGHT)
        left, top = float(self.left.min()), float(self.top.min())
        return QRectF(left, top, float(self.left.max()) + WIDTH - left, float(self.top.max()) + HEIGHT - top)

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """The borders of opened blocks, outermost first."""
        found = []
        depths: dict[int, int] = {}
        for index, block in enumerate(self.picture.blocks):
            if index not in self.picture.opened:
                continue
            depths[index] = depths.get(block.parent, -1) + 1
            items = self.picture.of_node[list(block.nodes)]
            room = PADDING + 10.0 * max(0, 3 - depths[index])
            left, top = float(self.left[items].min()) - room, float(self.top[items].min()) - room
            right, bottom = float(self.left[items].max()) + WIDTH + room, float(self.top[items].max()) + HEIGHT + room
            found.append(Frame(index, QRectF(left, top, right - left, bottom - top), depths[index]))
        return tuple(found)

    @cached_property
    def _extents(self) -> tuple[Floats, Floats]:
        low = np.minimum.reduceat(self.corners, self.starts, axis=0)
        return low, np.maximum.reduceat(self.corners, self.starts, axis=0)
