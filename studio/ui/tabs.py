"""The tabs in the centre, each made when it is first shown: charts and graphs cost time to import."""

from __future__ import annotations

import importlib

from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from studio.ui.controller import Controller

#: title to the widget's class
TABS = {
    "Graph": "studio.ui.graph.tab:GraphTab",
    "Optimize": "studio.ui.automatic.tab:AutomaticTab",
    "Benchmark": "studio.ui.benchmark.tab:BenchmarkTab",
    "Layers": "studio.ui.layers.tab:LayersTab",
    "Accuracy": "studio.ui.accuracy.tab:AccuracyTab",
    "Compare": "studio.ui.compare.tab:CompareTab",
    "Deploy": "studio.ui.deploy:DeployTab",
}


class CentreTabs(QTabWidget):
    """Graph, Optimize, Benchmark, Layers, Accuracy, Compare, Deploy."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._made: dict[str, QWidget] = {}
        self.setDocumentMode(True)
        self._pages = {title: QWidget() for title in TABS}
        for title, page in self._pages.items():
            QVBoxLayout(page).setContentsMargins(0, 0, 0, 0)
            self.addTab(page, title)
        self._awake = False
        self.currentChanged.connect(self._fill)
        controller.node_asked.connect(self._show_node)
        controller.tab_asked.connect(self.open_tab)

    def wake(self) -> None:
        """Make the tab that is shown, and from now on each when it is first shown."""
        if not self._awake:
            self._awake = True
            self._fill(self.currentIndex())

    def open_tab(self, title: str) -> QWidget:
        """Show a tab and give its widget."""
        self._awake = True
        index = list(self._pages).index(title)
        self.setCurrentIndex(index)
        self._fill(index)
        return self._made[title]

    def made(self, title: str) -> QWidget | None:
        """Give a tab's widget if it was made already."""
        return self._made.get(title)

    def _show_node(self, name: str) -> None:
        self.open_tab("Graph").show_node(name)  # type: ignore[attr-defined]

    def _fill(self, index: int) -> None:
        title = self.tabText(index)
        if not self._awake or title not in self._pages or title in self._made:
            return
        module, _, name = TABS[title].partition(":")
        page = self._pages[title]
        made: QWidget = getattr(importlib.import_module(module), name)(self._controller, page)
        self._made[title] = made
        layout = page.layout()
        assert layout is not None
        layout.addWidget(made)
