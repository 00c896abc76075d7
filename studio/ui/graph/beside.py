"""A second graph beside the first: scrolled and selected together, with what differs marked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Signal
from PySide6.QtWidgets import QWidget

from studio.ui.build import column, words
from studio.ui.controller import Controller
from studio.ui.graph.canvas import GraphCanvas
from studio.ui.graph.loading import lay_out
from studio.ui.graph.pairing import Matched, items_across, match
from studio.ui.graph.scene import Scene
from studio.ui.graph.shown import Shown


@dataclass(frozen=True)
class Link:
    """Both scenes and the items of one that stand for those of the other, -1 for none."""

    matched: Matched
    left: Scene
    right: Scene
    to_right: NDArray[np.intp]
    to_left: NDArray[np.intp]


class Beside(QWidget):
    """The other graph. `linked` says that both were matched anew."""

    linked = Signal()

    def __init__(self, controller: Controller, left: GraphCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._left = left
        self._first: tuple[Shown, Scene] | None = None
        self._model: Shown | None = None
        self._link: Link | None = None
        self._round = 0
        self.canvas = GraphCanvas(controller.tokens)
        self.canvas.setAccessibleName("Graph of the other model")
        self._title = words()
        layout = column(self, spacing=2)
        layout.addWidget(self._title)
        layout.addWidget(self.canvas, 1)
        self.setVisible(False)
        left.moved.connect(lambda: self._follow(from_left=True))
        left.clicked.connect(lambda item: self._choose(item, from_left=True))
        self.canvas.moved.connect(lambda: self._follow(from_left=False))
        self.canvas.clicked.connect(lambda item: self._choose(item, from_left=False))
        self.canvas.toggled.connect(self._on_toggle)
        controller.themed.connect(self.canvas.set_tokens)

    @property
    def model(self) -> Shown | None:
        """What is shown here; None when nothing is."""
        return self._model

    @property
    def link(self) -> Link | None:
        """How both graphs belong together; None while that is not known."""
        return self._link

    @property
    def summary(self) -> str:
        """What differs, in one line."""
        return self._title.text()

    def set_first(self, first: tuple[Shown, Scene] | None) -> None:
        """Take the graph on the left, which is laid out anew when a block is opened."""
        self._first = first
        if first is None:
            self.set_model(None)
        elif self._model is not None:
            self._match()

    def set_model(self, model: Shown | None) -> None:
        """Show another model here; nothing when None."""
        self._model, self._link = model, None
        self._round += 1
        self.canvas.set_scene(None)
        self.setVisible(model is not None)
        self._left.mark(frozenset(), ringed=True)
        if model is not None:
            self._lay_out(None)

    def _lay_out(self, opened: Iterable[str] | None) -> None:
        model, work, watch = self._model, self._controller.session.work, self._controller.watch
        assert model is not None
        self._title.setText(f"{model.name}: laying out …")

        def done(scene: Scene) -> None:
            if self._model is model:
                self.canvas.set_scene(scene)
                self._match()

        self._controller.background.run(
            lambda: lay_out(work, model.artifact, opened, watch), done, self._failed, self._stopped
        )

    def _match(self) -> None:
        """Match both graphs on another thread."""
        first, model, scene = self._first, self._model, self.canvas.scene
        if first is None or model is None or scene is None:
            return
        self._round += 1
        turn, work, watch = self._round, self._controller.session.work, self._controller.watch
        self._title.setText(f"{model.name}: matching …")

        def find() -> Link:
            matched = match(work, first, (model, scene), watch)
            rightwards = items_across(first[1], scene, matched.others(left=True))
            leftwards = items_across(scene, first[1], matched.others(left=False))
            return Link(matched, first[1], scene, rightwards, leftwards)

        def done(link: Link) -> None:
            if turn == self._round:
                self._link = link
                self._title.setText(f"{model.name}: {link.matched.summary()}")
                self._ring()
                self._follow(from_left=True)
                self.linked.emit()

        self._controller.background.run(find, done, self._failed, self._stopped)

    def _failed(self, error: Exception) -> None:
        self._title.setText("The graphs could not be matched.")
        self._controller.failed.emit(error)

    def _stopped(self) -> None:
        self._title.setText("Stopped; choose the model again.")

    def _ring(self) -> None:
        """Set off the items with nodes that differ."""
        link = self._link
        assert link is not None
        for canvas, scene, left in ((self._left, link.left, True), (self.canvas, link.right, False)):
            differing = (name for name, status in link.matched.statuses(left=left).items() if status != "same")
            items = (scene.item_of(name) for name in differing)
            canvas.mark(frozenset(item for item in items if item is not None), ringed=True)

    def _on_toggle(self, block: int) -> None:
        scene = self.canvas.scene
        if scene is None:
            return
        blocks, opened = scene.picture.blocks, scene.picture.opened
        self._lay_out({blocks[index].key for index in opened ^ {block}})

    def _sides(self, *, from_left: bool) -> tuple[GraphCanvas, GraphCanvas, NDArray[np.intp]] | None:
        """Give the canvas that leads, the one that follows, and the items across; None while they do not match."""
        link = self._link
        if link is None or self._left.scene is not link.left or self.canvas.scene is not link.right:
            return None
        return (self._left, self.canvas, link.to_right) if from_left else (self.canvas, self._left, link.to_left)

    def _follow(self, *, from_left: bool, by: int | None = None) -> None:
        """Bring the counterpart of an item, the one nearest the middle by default, to its place in the other view."""
        sides = self._sides(from_left=from_left)
        if sides is None:
            return
        leader, follower, across = sides
        assert leader.scene is not None and follower.scene is not None
        view, scene = leader.view, leader.scene
        items = scene.visible_items(view) if by is None else np.array([by])
        items = items[across[items] >= 0]
        if not len(items):
            return
        middle = view.center()
        away = np.abs(scene.left[items] - middle.x()) + np.abs(scene.top[items] - middle.y())
        item = int(items[int(np.argmin(away))])
        offset = scene.rect(item).center() - middle
        center = follower.scene.rect(int(across[item])).center() - offset
        half = QPointF(follower.width(), follower.height()) / (2 * leader.zoom)
        follower.scroll_to(center - half, leader.zoom)

    def _choose(self, item: int, *, from_left: bool) -> None:
        """Select the counterpart of what was selected, and mark every node that it became or came from."""
        sides = self._sides(from_left=from_left)
        if sides is None:
            return
        leader, follower, across = sides
        assert leader.scene is not None and follower.scene is not None and self._link is not None
        found = int(across[item]) if item >= 0 else -1
        follower.select(found if found >= 0 else None)
        others = self._link.matched.others(left=from_left)
        names = [leader.scene.picture.names[node] for node in leader.scene.members(item)] if item >= 0 else []
        items = (follower.scene.item_of(other) for name in names for other in others.get(name, ()))
        follower.mark(frozenset(one for one in items if one is not None))
        if found >= 0:
            self._follow(from_left=from_left, by=item)
