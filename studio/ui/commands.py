"""The command palette: every action, pass, variant and help page, found by typing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget, QListWidgetItem, QMenu

from studio.ui.build import column, named
from studio.ui.glossary import terms
from studio.ui.help import page_titles
from studio.ui.translate import tr

if TYPE_CHECKING:
    from studio.ui.window import MainWindow

_WIDTH, _HEIGHT = 640, 420


@dataclass(frozen=True)
class Command:
    """Something that can be done: what it is called, under which head, its keys."""

    group: str
    title: str
    run: Callable[[], object]
    keys: str = ""

    @property
    def text(self) -> str:
        """What is shown and searched."""
        return f"{self.group}: {self.title}"


class CommandPalette(QFrame):
    """Lies over the window until a command is chosen or Escape is pressed."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._commands: list[Command] = []
        self.setProperty("card", True)
        self.setAccessibleName(tr("Command palette"))
        self.setAutoFillBackground(True)
        self.search = named(QLineEdit(clearButtonEnabled=True), tr("Command"), tr("Type words of what you want to do"))
        self.search.setPlaceholderText(tr("What do you want to do?"))
        self.list = named(QListWidget(), tr("Commands"), tr("Press Return to run the chosen one"))
        self.list.setUniformItemSizes(True)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.search.textChanged.connect(self._fill)
        self.search.returnPressed.connect(self.run_current)
        self.list.itemActivated.connect(lambda _: self.run_current())
        self.list.itemClicked.connect(lambda _: self.run_current())
        self.search.installEventFilter(self)
        whole = column(self, spacing=6, margins=(10, 10, 10, 10))
        whole.addWidget(self.search)
        whole.addWidget(self.list, 1)
        self.hide()

    def open(self) -> None:
        """Show it with everything that can be done now."""
        self._commands = list(commands(self._window))
        self.search.clear()
        self._fill("")
        self.place()
        self.show()
        self.raise_()
        self.search.setFocus(Qt.FocusReason.PopupFocusReason)

    def place(self) -> None:
        """Keep to the middle of the window, below its top."""
        whole = self._window.rect()
        width, height = min(_WIDTH, whole.width() - 40), min(_HEIGHT, whole.height() - 100)
        self.setGeometry((whole.width() - width) // 2, 60, width, height)

    def titles(self) -> list[str]:
        """Give what is listed."""
        return [self.list.item(row).text() for row in range(self.list.count())]

    def run_current(self) -> None:
        """Do the chosen thing and go away."""
        item = self.list.currentItem()
        if item is not None:
            command: Command = item.data(Qt.ItemDataRole.UserRole)
            self.close_palette()
            command.run()

    def close_palette(self) -> None:
        """Go away without doing anything."""
        self.hide()
        self._window.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: D102
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            key = Qt.Key(event.key())
            if key == Qt.Key.Key_Escape:
                self.close_palette()
                return True
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 10, Qt.Key.Key_PageUp: -10}.get(key)
            if step is not None and self.list.count():
                self.list.setCurrentRow(min(max(self.list.currentRow() + step, 0), self.list.count() - 1))
                return True
        elif event.type() == QEvent.Type.FocusOut and not self.list.hasFocus() and self.isVisible():
            self.hide()
        return super().eventFilter(watched, event)

    def _fill(self, text: str) -> None:
        self.list.clear()
        for command in matching(self._commands, text):
            keys = f"   ({command.keys})" if command.keys else ""
            item = QListWidgetItem(f"{command.text}{keys}")
            item.setData(Qt.ItemDataRole.UserRole, command)
            self.list.addItem(item)
        self.list.setCurrentRow(0)


def matching(found: list[Command], text: str) -> list[Command]:
    """Give the commands that have every typed word, those first in which words begin with them."""
    words = text.lower().split()

    def rank(command: Command) -> tuple[int, int]:
        title = command.title.lower()
        starts = sum(any(part.startswith(word) for part in title.split()) for word in words)
        return (-starts, title.find(words[0]) if words and words[0] in title else len(title))

    hits = [command for command in found if all(word in command.text.lower() for word in words)]
    return sorted(hits, key=rank) if words else hits


def commands(window: MainWindow) -> Iterator[Command]:
    """List what can be done in a window now."""
    yield from _actions(window)
    yield from _variants(window)
    yield from _passes(window)
    for name, title in page_titles().items():
        yield Command(tr("Help"), title, partial(window.help.show_page, name))
    for term in terms():
        yield Command(tr("What is"), term, partial(window.help.show_term, term))


def _actions(window: MainWindow) -> Iterator[Command]:
    for entry in window.menuBar().actions():
        menu = entry.menu()
        if not isinstance(menu, QMenu):
            continue
        for action in menu.actions():
            if action.isEnabled() and not action.isSeparator() and action is not window.menus.actions["palette"]:
                group, title = menu.title().replace("&", ""), action.text().replace("&", "")
                yield Command(group, title, action.trigger, action.shortcut().toString())


def _variants(window: MainWindow) -> Iterator[Command]:
    session = window.controller.session if window.desk is not None else None
    if session is not None and session.is_open:
        for variant in session.project.variants:
            yield Command(tr("Show variant"), variant.name, partial(window.controller.select, variant.id))


def _passes(window: MainWindow) -> Iterator[Command]:
    session = window.controller.session if window.desk is not None else None
    if session is not None and session.is_open:
        for card in window.workspace.recipe.cards.values():
            if card.switch.isEnabled():
                group = tr("Switch off") if card.switch.isChecked() else tr("Switch on")
                yield Command(group, card.accessibleName(), card.switch.click)
