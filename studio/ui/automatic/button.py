"""The button in the bar: one click searches, the arrow beside it opens budget and time limit."""

from __future__ import annotations

from PySide6.QtWidgets import QMenu, QToolButton, QWidget, QWidgetAction

from studio.ui.automatic.search import AutomaticSearch
from studio.ui.automatic.wishes import Wishes
from studio.ui.build import column
from studio.ui.controller import Controller
from studio.ui.tabs import CentreTabs

TITLE = "Optimize"


class AutomaticButton(QToolButton):
    """Starts a search and shows it; stops it while it runs."""

    def __init__(self, controller: Controller, tabs: CentreTabs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._search: AutomaticSearch = controller.search
        self._tabs = tabs
        self._busy: set[str] = set()
        self.setProperty("primary", True)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        self.setAccessibleName("Optimize for me")
        menu = QMenu(self)
        action = QWidgetAction(menu)
        frame = QWidget()
        column(frame, margins=(12, 10, 12, 10)).addWidget(Wishes(self._search))
        action.setDefaultWidget(frame)
        menu.addAction(action)
        self.setMenu(menu)
        self.clicked.connect(self.press)
        self._search.running_changed.connect(lambda _: self._show())
        self._search.options_changed.connect(lambda _: self._show())
        controller.busy.connect(self._on_busy)
        controller.changed.connect(lambda _: self._show())
        self._show()

    def press(self) -> None:
        """Start a search in its tab, or stop the one that runs."""
        if self._search.running:
            self._search.stop()
            return
        self._tabs.open_tab(TITLE)
        self._search.start()

    def _on_busy(self, kind: str, busy: bool) -> None:
        (self._busy.add if busy else self._busy.discard)(kind)
        self._show()

    def _show(self) -> None:
        running, options = self._search.running, self._search.options
        self.setText("Stop" if running else "Optimize for me")
        self.setToolTip(
            "Stop; the best so far is kept"
            if running
            else "Try what promises most on this device, measure each, and propose the fastest that loses at most "
            f"{options.budget:g} points, within {options.time_limit / 60:.0f} min"
        )
        session = self._controller.session
        self.setEnabled(running or (session.is_open and session.detected is not None and not self._busy))
