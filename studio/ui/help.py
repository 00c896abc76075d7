"""The help dock: the Markdown pages of `assets/help`."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDockWidget, QTextBrowser, QWidget

from studio.locations import assets
from studio.ui.build import named

INDEX = "index"


def page_of(pass_id: str) -> str:
    """Name the page of a pass."""
    return f"pass-{pass_id.replace('.', '-')}"


class HelpDock(QDockWidget):
    """Shows one page; links lead to other pages, web addresses to the browser."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Help", parent)
        self.setObjectName("help")
        self.browser = named(QTextBrowser(openLinks=False), "Help")
        self.browser.setMinimumWidth(320)
        self.browser.anchorClicked.connect(self._follow)
        self.setWidget(self.browser)
        self.page = ""

    def show_page(self, name: str) -> None:
        """Show a page by its name without suffix; the index when there is no such page."""
        path = assets() / "help" / f"{name}.md"
        if not path.is_file():
            path = assets() / "help" / f"{INDEX}.md"
        self.page = path.stem
        self.browser.setMarkdown(path.read_text(encoding="utf-8"))
        self.show()
        self.raise_()

    def _follow(self, url: QUrl) -> None:
        if url.scheme() in ("http", "https"):
            QDesktopServices.openUrl(url)
        elif url.fileName().endswith(".md"):
            self.show_page(url.fileName().removesuffix(".md"))
