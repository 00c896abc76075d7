"""The Graph tab: the shown variant's graph, find, and the details of a node."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QSplitter, QVBoxLayout, QWidget

from studio.core.artifact import Artifact
from studio.jobs.tasks.graph_layout import DrawnGraph, LayOutGraph
from studio.ui.controller import Controller
from studio.ui.graph.canvas import GraphCanvas
from studio.ui.graph.details import NodeDetails
from studio.ui.graph.scene import Scene


class GraphTab(QWidget):
    """Lays the graph out in a worker, and shows it."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._scene: Scene | None = None
        self._wanted = ""
        self._canvas = GraphCanvas(controller.tokens)
        self._details = NodeDetails()
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self._canvas)
        split.addWidget(self._details)
        split.setStretchFactor(0, 1)
        split.setSizes([640, 240])
        layout = QVBoxLayout(self)
        layout.addLayout(self._controls())
        layout.addWidget(split, 1)
        self._canvas.clicked.connect(self._on_click)
        controller.selected.connect(self.load)
        controller.changed.connect(self._on_change)
        controller.themed.connect(self._canvas.set_tokens)
        self.load()

    def _controls(self) -> QHBoxLayout:
        self._title = QLabel()
        self._title.setProperty("quiet", True)
        self._find = QLineEdit(placeholderText="Find a name, operator or tensor")
        self._find.setClearButtonEnabled(True)
        self._find.setMaximumWidth(280)
        self._find.setAccessibleName("Find in the graph")
        self._find.returnPressed.connect(self.find_next)
        top = QPushButton("Top")
        top.setToolTip("Show the beginning of the graph")
        top.clicked.connect(self._canvas.start)
        fit = QPushButton("Fit")
        fit.setToolTip("Show the whole graph (F)")
        fit.clicked.connect(self._canvas.fit)
        row = QHBoxLayout()
        row.setContentsMargins(8, 6, 8, 0)
        for widget in (self._find, top, fit):
            row.addWidget(widget)
        row.addWidget(self._title, 1)
        return row

    @property
    def scene(self) -> Scene | None:
        """What is shown; None before the layout is there."""
        return self._scene

    def load(self) -> None:
        """Lay out the shown variant's graph, unless it is what is shown."""
        session = self._controller.session
        if not session.is_open:
            self._wanted = ""
            self._show(None)
            return
        artifact = session.artifact(self._controller.variant)
        if artifact.sha256 == self._wanted:
            return
        self._wanted = artifact.sha256
        self._title.setText("Laying out …")
        self._controller.background.run(
            lambda: self._lay_out(artifact), lambda scene: self._laid_out(artifact, scene), self._failed
        )

    def highlight(self, nodes: tuple[str, ...]) -> None:
        """Set off the nodes that a pass would touch."""
        if self._scene is not None:
            index = self._scene.index
            self._canvas.mark(frozenset(index[name] for name in nodes if name in index))

    def find_next(self) -> None:
        """Go to the next node that holds the text."""
        text = self._find.text().strip()
        if self._scene is None or not text:
            return
        found = self._scene.find(text, self._canvas.selected)
        if found is None:
            self._title.setText(f"Nothing holds {text!r}.")
            return
        self._canvas.select(found, show=True)
        self._on_click(found)

    def _lay_out(self, artifact: Artifact) -> Scene:
        work = self._controller.session.work
        request = LayOutGraph(artifact=artifact)
        drawn = work.run_task("graph_layout", request, f"lay out {artifact.path.name}", watch=self._controller.watch)
        return Scene(DrawnGraph.model_validate(drawn))

    def _laid_out(self, artifact: Artifact, scene: Scene) -> None:
        if artifact.sha256 == self._wanted:
            self._show(scene)

    def _failed(self, error: Exception) -> None:
        self._wanted = ""
        self._title.setText("The graph could not be laid out.")
        self._controller.failed.emit(error)

    def _show(self, scene: Scene | None) -> None:
        self._scene = scene
        self._canvas.set_scene(scene)
        self._details.show_node(None, None, ())
        self._title.setText("" if scene is None else f"{len(scene.nodes):,} nodes, {len(scene.graph.edges):,} edges")

    def _on_click(self, index: int) -> None:
        if self._scene is None or index < 0:
            self._details.show_node(None, None, ())
            return
        node = self._scene.nodes[index]
        variant = self._controller.session.project.variant(self._controller.variant)
        self._details.show_node(self._scene.graph, node, variant.provenance.get(node.name, ()))

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants"):
            self.load()
