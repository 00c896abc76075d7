"""The workspace of an open project: variants, tabs, recipe and jobs, with borders that can be dragged."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtWidgets import QSplitter, QWidget

from studio.ui.controller import Controller
from studio.ui.edits import Edits
from studio.ui.jobs.panel import JobsPanel
from studio.ui.recipe.panel import RecipePanel
from studio.ui.tabs import CentreTabs
from studio.ui.variants.panel import VariantsPanel


class Workspace(QSplitter):
    """Three columns above the jobs. `build` makes them, one in each step: all at once would be a stall."""

    variants: VariantsPanel
    tabs: CentreTabs
    recipe: RecipePanel
    jobs: JobsPanel

    def __init__(self, controller: Controller, edits: Edits, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self._controller = controller
        self._edits = edits
        self.columns = QSplitter(Qt.Orientation.Horizontal)

    def build(self) -> Iterator[None]:
        """Make the panels."""
        controller, edits = self._controller, self._edits
        self.variants = VariantsPanel(controller, edits)
        yield
        self.tabs = CentreTabs(controller)
        yield
        self.recipe = RecipePanel(controller, edits)
        yield
        self.jobs = JobsPanel(controller)
        yield
        self._lay_out()

    def keep_layout(self) -> dict[str, QByteArray]:
        """Give the places of the borders by name."""
        return {"columns": self.columns.saveState(), "rows": self.saveState()}

    def restore_layout(self, columns: QByteArray, rows: QByteArray) -> None:
        """Bring the borders back to where they were."""
        if not columns.isEmpty():
            self.columns.restoreState(columns)
        if not rows.isEmpty():
            self.restoreState(rows)

    def _lay_out(self) -> None:
        for panel, stretch, width in ((self.variants, 0, 200), (self.tabs, 1, 300), (self.recipe, 0, 330)):
            panel.setMinimumWidth(width)
            self.columns.addWidget(panel)
            self.columns.setStretchFactor(self.columns.indexOf(panel), stretch)
        self.columns.setSizes([420, 660, 360])
        self.addWidget(self.columns)
        self.addWidget(self.jobs)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 0)
        self.setSizes([680, 170])
        self.setChildrenCollapsible(False)
        self.columns.setChildrenCollapsible(False)
