"""The Graph tab: the shown variant's graph, find, overlays, and the details of a node."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from studio.core.artifact import Artifact
from studio.ui.controller import Controller
from studio.ui.graph.beside import Beside
from studio.ui.graph.besidechoice import BesideChoice
from studio.ui.graph.canvas import GraphCanvas
from studio.ui.graph.colouring import Colouring
from studio.ui.graph.details import NodeDetails
from studio.ui.graph.legend import Legend
from studio.ui.graph.loading import describe, lay_out
from studio.ui.graph.overlays import titles
from studio.ui.graph.pictures import offer_pictures
from studio.ui.graph.scene import Scene
from studio.ui.graph.shown import Shown, shown
from studio.ui.netron.switch import NetronSwitch


class GraphTab(QWidget):
    """Lays the graph out in a worker, and shows it.

    `gathered` gives the names of nodes that were selected by a rectangle.
    """

    gathered = Signal(tuple)

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._scene: Scene | None = None
        self._wanted = ""
        #: a node to show when the graph is laid out
        self._sought = ""
        self._canvas = GraphCanvas(controller.tokens)
        self.pictures = offer_pictures(self._canvas)
        self._details = NodeDetails()
        self._legend = Legend(controller.tokens)
        self.beside = Beside(controller, self._canvas)
        self.colouring = Colouring(controller, self._canvas, self.beside, self._legend)
        self.netron = NetronSwitch(controller, self._canvas)
        split = QSplitter(Qt.Orientation.Horizontal)
        for part, stretch in ((self.netron.pages, 1), (self.beside, 1), (self._details, 0)):
            split.addWidget(part)
            split.setStretchFactor(split.indexOf(part), stretch)
        split.setSizes([640, 500, 240])
        self._split = split
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(self._controls())
        below = QHBoxLayout()
        below.setContentsMargins(0, 0, 12, 0)
        below.addWidget(self._legend, 1)
        below.addWidget(self._title)
        layout.addLayout(below)
        layout.addWidget(split, 1)
        self._canvas.clicked.connect(self._on_click)
        self._canvas.toggled.connect(self._on_toggle)
        self._canvas.gathered.connect(self._on_gathered)
        controller.selected.connect(self.load)
        controller.changed.connect(self._on_change)
        controller.themed.connect(self._canvas.set_tokens)
        controller.themed.connect(self._legend.set_tokens)
        self.beside.linked.connect(self._on_linked)
        self.colouring.shown.connect(self._on_overlay)
        self.netron.chosen.connect(self.show_node)
        self.load()

    def _controls(self) -> QHBoxLayout:
        self._title = QLabel()
        self._title.setProperty("quiet", True)
        self._find = QLineEdit(placeholderText="Find a name, operator, tensor or attribute")
        self._find.setClearButtonEnabled(True)
        self._find.setMinimumWidth(150)
        self._find.setAccessibleName("Find in the graph")
        self._find.returnPressed.connect(self.find_next)
        self._choice = QComboBox()
        self._choice.setAccessibleName("What the colours show")
        self._choice.setToolTip("What the colours of the graph show")
        for key, (title, tip) in titles().items():
            self._choice.addItem(title, key)
            self._choice.setItemData(self._choice.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self._choice.currentIndexChanged.connect(lambda _: self.show_overlay(self._choice.currentData()))
        self._other = BesideChoice(self._controller)
        self._other.variant_asked.connect(self.show_beside)
        self._other.file_asked.connect(self._ask_beside)
        row = QHBoxLayout()
        row.setContentsMargins(8, 6, 8, 0)
        row.addWidget(self._find, 1)
        row.addWidget(self._choice)
        row.addWidget(self._other)
        for text, tip, call in (
            ("Top", "Show the beginning of the graph (Home)", self._canvas.start),
            ("Fit", "Show the whole graph (F)", self._canvas.fit),
            ("Overview", "Close the blocks again", lambda: self._lay_out_with(None)),
            ("Open all", "Open every block", lambda: self._lay_out_with(self._every_block())),
        ):
            button = QPushButton(text)
            button.setToolTip(tip)
            button.setMaximumWidth(button.fontMetrics().horizontalAdvance(text) + 28)
            button.clicked.connect(call)
            row.addWidget(button)
        row.addWidget(self.netron.button)
        return row

    @property
    def scene(self) -> Scene | None:
        """What is shown; None before the layout is there."""
        return self._scene

    @property
    def canvas(self) -> GraphCanvas:
        """The canvas."""
        return self._canvas

    def load(self) -> None:
        """Lay out the shown variant's graph, unless it is what is shown."""
        session = self._controller.session
        if not session.is_open:
            self._wanted = ""
            self._show(None)
            return
        artifact = session.artifact(self._controller.variant)
        if artifact.sha256 != self._wanted:
            self._wanted = artifact.sha256
            self._lay_out(artifact, None, None)

    def highlight(self, nodes: tuple[str, ...]) -> None:
        """Set off the nodes that a pass would touch."""
        if self._scene is not None:
            found = (self._scene.item_of(name) for name in nodes)
            self._canvas.mark(frozenset(item for item in found if item is not None))

    def show_node(self, name: str) -> None:
        """Select a node and bring it to the middle; what it is in is opened first where it is collapsed."""
        scene = self._scene
        if scene is None:
            self._sought = name
            return
        if name not in scene.index:
            self._title.setText(f"This graph has no node {name!r}.")
            return
        item = scene.item_of(name)
        assert item is not None
        if scene.block(item) is None:
            self._canvas.select(item, show=True)
            self._on_click(item)
            return
        node = scene.index[name]
        around = {block.key for block in scene.picture.blocks if node in block.nodes}
        self._lay_out_with(self._opened() | around, then=partial(self.show_node, name))

    def find_next(self) -> None:
        """Go to the next node that holds the text."""
        text = self._find.text().strip()
        if self._scene is None or not text:
            return
        picture, selected = self._scene.picture, self._canvas.selected
        after = max(self._scene.members(selected)) if selected is not None else -1
        if selected is not None and self._scene.block(selected) is None:
            after = int(picture.node[selected])
        found = picture.searched.find(text, after)
        if found is None:
            self._title.setText(f"Nothing holds {text!r}.")
            return
        self._title.setText(f"{picture.searched.count(text):,} nodes hold {text!r}")
        self.show_node(picture.names[found])

    def show_overlay(self, key: str) -> None:
        """Colour the graph by something else: a key of `overlays.titles`."""
        self.colouring.show(key)

    def show_beside(self, variant: str) -> None:
        """Show another variant's graph beside this one; none when empty."""
        session = self._controller.session
        self._set_beside(shown(session, variant) if variant and session.is_open else None)

    def show_file_beside(self, path: Path) -> None:
        """Show the graph of a model file beside this one."""
        work, watch = self._controller.session.work, self._controller.watch

        def done(artifact: Artifact) -> None:
            self._other.set_file(path.name)
            self._set_beside(Shown(path.name, artifact))

        self._controller.background.run(
            lambda: work.open_model(path, watch=watch).artifact, done, self._controller.failed.emit
        )

    def _ask_beside(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Model to show beside", "", "ONNX models (*.onnx);;All files (*)")
        if name:
            self.show_file_beside(Path(name))
        else:
            self._other.set_variant(self.beside.model.variant if self.beside.model is not None else "")

    def _set_beside(self, model: Shown | None) -> None:
        opened = self.beside.model is None and model is not None
        self.beside.set_model(model)
        if opened:
            half = max(1, self._split.width() - 160) // 2
            self._split.setSizes([half, half, 160])
        if model is None:
            self.colouring.without_beside()
        else:
            self._other.set_variant(model.variant)

    def _on_linked(self) -> None:
        """Show what differs, once both graphs are matched."""
        self.colouring.with_beside()

    def _on_overlay(self, key: str) -> None:
        index = self._choice.findData(key)
        if index >= 0 and index != self._choice.currentIndex():
            self._choice.setCurrentIndex(index)

    def _lay_out_with(self, opened: set[str] | None, then: object = None) -> None:
        session = self._controller.session
        if session.is_open:
            self._lay_out(session.artifact(self._controller.variant), opened, then)

    def _lay_out(self, artifact: Artifact, opened: set[str] | None, then: object) -> None:
        work, watch = self._controller.session.work, self._controller.watch
        if opened is None:
            self._title.setText("Laying out …")

        def done(scene: Scene) -> None:
            if artifact.sha256 != self._wanted or not self._controller.shows_known:
                return
            self._show(scene)
            if callable(then):
                then()

        self._controller.background.run(
            lambda: lay_out(work, artifact, opened, watch), done, self._failed, self._stopped
        )

    def _stopped(self) -> None:
        self._wanted = ""
        self._title.setText("Stopped; select the variant again to lay its graph out.")

    def _failed(self, error: Exception) -> None:
        self._wanted = ""
        self._title.setText("The graph could not be laid out.")
        self._controller.failed.emit(error)

    def _show(self, scene: Scene | None) -> None:
        self._scene = scene
        self._canvas.set_scene(scene)
        self._details.clear_node()
        session = self._controller.session
        model = shown(session, self._controller.variant) if scene is not None and session.is_open else None
        self.netron.set_model(model)
        self.beside.set_first((model, scene) if model is not None and scene is not None else None)
        self.colouring.set_model(model)
        if scene is None:
            self._title.setText("")
            return
        constants = scene.picture.constants
        hidden = f", {constants:,} constants not drawn" if constants else ""
        self._title.setText(f"{scene.nodes:,} nodes{hidden}")
        self._title.setToolTip(f"{len(scene.picture.blocks):,} blocks were found")
        self.colouring.refresh()
        if self._sought:
            name, self._sought = self._sought, ""
            self.show_node(name)

    def _opened(self) -> set[str]:
        if self._scene is None:
            return set()
        return {self._scene.picture.blocks[index].key for index in self._scene.picture.opened}

    def _every_block(self) -> set[str]:
        return {block.key for block in self._scene.picture.blocks} if self._scene is not None else set()

    def _on_toggle(self, block: int) -> None:
        """Open or close a block; its first node stays where it is on the screen."""
        scene = self._scene
        if scene is None:
            return
        chosen = scene.picture.blocks[block]
        opened = self._opened()
        closing = block in scene.picture.opened
        opened = opened - {chosen.key} if closing else opened | {chosen.key}
        first = chosen.nodes[0]
        before, origin, zoom = self._place_of(first), self._canvas.view.topLeft(), self._canvas.zoom

        def settle() -> None:
            self._canvas.scroll_to(origin + self._place_of(first) - before, zoom)
            assert self._scene is not None
            self._canvas.select(int(self._scene.picture.of_node[first]))

        self._lay_out_with(opened, then=settle)

    def _place_of(self, node: int) -> QPointF:
        assert self._scene is not None
        return self._scene.rect(int(self._scene.picture.of_node[node])).topLeft()

    def _on_click(self, item: int) -> None:
        scene = self._scene
        if scene is None or item < 0 or not self._controller.shows_known:
            self._details.clear_node()
            return
        block = scene.block(item)
        if block is not None:
            self._details.show_block(scene, block)
            return
        node = int(scene.picture.node[item])
        name = scene.picture.names[node]
        self.netron.select(name)
        session = self._controller.session
        sources = session.project.variant(self._controller.variant).provenance.get(name, ())
        self._details.show_node(scene, node, None, sources)
        artifact = session.artifact(self._controller.variant)

        def done(info: object) -> None:
            if self._scene is scene and self._canvas.selected == item:
                self._details.show_node(scene, node, info, sources)  # type: ignore[arg-type]

        self._controller.background.run(
            lambda: describe(session.work, artifact, name, self._controller.watch), done, self._controller.failed.emit
        )

    def _on_gathered(self, items: frozenset[int]) -> None:
        scene = self._scene
        if scene is None:
            return
        self._canvas.mark(items)
        names = tuple(scene.picture.names[node] for item in sorted(items) for node in scene.members(item))
        self._title.setText(f"{len(names):,} nodes selected")
        self.gathered.emit(names)

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants"):
            self.load()
