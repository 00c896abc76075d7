"""The help dock: the Markdown pages of `assets/help`."""

from __future__ import annotations

from functools import cached_property

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QShowEvent
from PySide6.QtWidgets import QDockWidget, QTextBrowser, QWidget

from studio.locations import assets
from studio.ui.build import named
from studio.ui.translate import tr

INDEX, GLOSSARY = "index", "glossary"


def page_of(pass_id: str) -> str:
    """Name the page of a pass."""
    return f"pass-{pass_id.replace('.', '-')}"


def page_titles() -> dict[str, str]:
    """Give the title of every page by its name."""
    found = {}
    for path in sorted((assets() / "help").glob("*.md")):
        with path.open(encoding="utf-8") as stream:
            found[path.stem] = stream.readline().lstrip("# ").strip()
    return found


class HelpDock(QDockWidget):
    """Shows one page; links lead to other pages, web addresses to the browser."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Help"), parent)
        self.setObjectName("help")
        self.page = ""

    @cached_property
    def browser(self) -> QTextBrowser:
        """Where pages are shown; made when the first is."""
        made = named(QTextBrowser(openLinks=False), tr("Help"))
        made.setMinimumWidth(320)
        made.anchorClicked.connect(self._follow)
        self.setWidget(made)
        return made

    def showEvent(self, event: QShowEvent) -> None:  # noqa: D102
        super().showEvent(event)
        if not self.page:
            self.show_page(INDEX)

    def show_page(self, name: str) -> None:
        """Show a page by its name without suffix; the index when there is no such page."""
        path = assets() / "help" / f"{name}.md"
        if not path.is_file():
            path = assets() / "help" / f"{INDEX}.md"
        self.page = path.stem
        self.browser.setMarkdown(path.read_text(encoding="utf-8"))
        self.show()
        self.raise_()

    def show_term(self, term: str) -> None:
        """Show a word of the glossary."""
        self.show_page(GLOSSARY)
        self.browser.find(term)

    def _follow(self, url: QUrl) -> None:
        if url.scheme() in ("http", "https"):
            QDesktopServices.openUrl(url)
        elif url.fileName().endswith(".md"):
            self.show_page(url.fileName().removesuffix(".md"))
