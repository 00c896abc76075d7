"""The Benchmark tab: latency live, throughput over settings, and starts; each page is made when it is first shown."""

from __future__ import annotations

import importlib

from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from studio.ui.benchmark.live import LivePage
from studio.ui.controller import Controller

#: title to the page's class and its tooltip
PAGES = {
    "Throughput": ("studio.ui.benchmark.sweep:SweepPage", "Throughput against latency over batch, threads and streams"),
    "Start and memory": ("studio.ui.benchmark.cold:ColdPage", "What a start costs in a fresh process"),
}


class BenchmarkTab(QTabWidget):
    """The pages of Benchmark; `live` is the first."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.setDocumentMode(True)
        self.live = LivePage(controller)
        self.addTab(self.live, "Latency")
        self.setTabToolTip(0, "Latency of any variants on any devices, live")
        self._made: dict[str, QWidget] = {}
        for title, (_, tip) in PAGES.items():
            page = QWidget()
            QVBoxLayout(page).setContentsMargins(0, 0, 0, 0)
            self.setTabToolTip(self.addTab(page, title), tip)
        self.currentChanged.connect(self._fill)
        controller.busy.connect(self._on_busy)

    def open_page(self, title: str) -> QWidget:
        """Show a page and give its widget."""
        index = next(index for index in range(self.count()) if self.tabText(index) == title)
        self.setCurrentIndex(index)
        self._fill(index)
        return self._made.get(title, self.live)

    def _on_busy(self, kind: str, busy: bool) -> None:
        if kind == "measure" and busy:
            self.setCurrentIndex(0)

    def _fill(self, index: int) -> None:
        title = self.tabText(index)
        if title not in PAGES or title in self._made:
            return
        module, _, name = PAGES[title][0].partition(":")
        made: QWidget = getattr(importlib.import_module(module), name)(self._controller)
        self._made[title] = made
        page = self.widget(index)
        layout = page.layout() if page is not None else None
        assert layout is not None
        layout.addWidget(made)
