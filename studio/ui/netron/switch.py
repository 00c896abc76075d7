"""The switch between the canvas and Netron's view of the same model."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QSignalBlocker, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QPushButton, QStackedWidget, QWidget

from studio.core.errors import BurnishError
from studio.ui.build import named
from studio.ui.controller import Controller
from studio.ui.graph.shown import Shown
from studio.ui.netron.embedding import is_available, make_view
from studio.ui.netron.server import NetronServer

TIP = "Show the same model in Netron, for its detail of attributes; nothing leaves this machine"
#: above so many bytes Netron takes long: it reads the whole file into the page
LARGE = 500_000_000
IN_BROWSER = "Netron shows the model in your browser. It ends when you switch it off here, or close the window."


class NetronSwitch(QObject):
    """Serves the shown model to Netron's page while switched on.

    `chosen` gives the node that was selected in the page. The page stands in `pages` in place of the canvas where the
    web engine is installed, else in the system's browser.

    Attributes
    ----------
    open_url
        Opens an address in the browser.
    """

    chosen = Signal(str)

    def __init__(self, controller: Controller, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._controller = controller
        self._model: Shown | None = None
        self._server: NetronServer | None = None
        self._view: QWidget | None = None
        self.embedded = is_available()
        self.open_url: Callable[[str], object] = lambda url: QDesktopServices.openUrl(QUrl(url))
        self.pages = QStackedWidget()
        self.pages.addWidget(canvas)
        self.button = named(QPushButton("Netron"), "Show in Netron", TIP)
        self.button.setCheckable(True)
        self.button.setEnabled(False)
        self.button.toggled.connect(self._on_toggle)
        controller.closed.connect(self.close)

    @property
    def server(self) -> NetronServer | None:
        """What serves the model; None while switched off."""
        return self._server

    @property
    def view(self) -> QWidget | None:
        """The embedded view; None while switched off, and with the browser."""
        return self._view

    def set_model(self, model: Shown | None) -> None:
        """Show another model."""
        same = self._model is not None and model is not None and self._model.artifact.sha256 == model.artifact.sha256
        self._model = model
        self.button.setEnabled(model is not None)
        if model is None:
            self.button.setChecked(False)
        elif self._server is not None and not same:
            self._server.serve(model.artifact, model.name)

    def select(self, node: str) -> None:
        """Select a node in the page too."""
        if self._server is not None:
            self._server.select(node)

    def close(self) -> None:
        """End the server and the view."""
        server, self._server = self._server, None
        view, self._view = self._view, None
        if server is not None:
            server.close()
        if view is not None:
            view.setParent(None)
            view.deleteLater()

    def _on_toggle(self, on: bool) -> None:
        if not on:
            self.close()
            return
        model = self._model
        assert model is not None
        background = self._controller.background
        try:
            self._server = NetronServer(
                model.artifact, model.name, lambda node: background.post(lambda: self.chosen.emit(node))
            )
        except BurnishError as error:
            with QSignalBlocker(self.button):
                self.button.setChecked(False)
            self._controller.failed.emit(error)
            return
        if model.artifact.bytes > LARGE:
            self._controller.notice.emit("Netron reads the whole model into its page: this may take long.")
        if self.embedded:
            self._view = make_view(self._server.url)
            self.pages.addWidget(self._view)
            self.pages.setCurrentWidget(self._view)
        else:
            self.open_url(self._server.url)
            self._controller.notice.emit(IN_BROWSER)
