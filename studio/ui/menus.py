"""The menus: every action of the window with its keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtGui import QAction, QActionGroup, QIcon, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from studio.ui.theme import Tokens

SEPARATOR = ""


@dataclass(frozen=True)
class Item:
    """An entry: its action's name, text, what it calls, its keys (several with ``"; "`` between), and its icon."""

    name: str
    text: str = ""
    call: Callable[[], object] = bool
    keys: str = ""
    picture: str = ""


class Menus:
    """Builds the menu bar; `actions` holds every action by name."""

    def __init__(self, window: QMainWindow) -> None:
        self._window = window
        self.actions: dict[str, QAction] = {}
        self._pictures: dict[str, str] = {}

    def add(self, title: str, items: list[Item]) -> QMenu:
        """Add a menu."""
        menu = self._window.menuBar().addMenu(title)
        for item in items:
            if item.name == SEPARATOR:
                menu.addSeparator()
            else:
                menu.addAction(self._action(item))
        return menu

    def add_choices(
        self, menu: QMenu, choices: dict[str, str], chosen: str, call: Callable[[str], object]
    ) -> dict[str, QAction]:
        """Add entries of which one is chosen."""
        group = QActionGroup(menu)
        made = {}
        for name, text in choices.items():
            action = QAction(text, menu, checkable=True, checked=name == chosen)
            action.triggered.connect(lambda _=False, name=name: call(name))
            group.addAction(action)
            menu.addAction(action)
            made[name] = action
        return made

    def set_tokens(self, tokens: Tokens) -> None:
        """Colour the icons."""
        from studio.ui.icons import icon

        for name, picture in self._pictures.items():
            self.actions[name].setIcon(icon(picture, tokens))

    def _action(self, item: Item) -> QAction:
        action = QAction(QIcon(), item.text, self._window)
        action.triggered.connect(lambda _=False: item.call())
        if item.keys:
            action.setShortcuts([QKeySequence(keys) for keys in item.keys.split("; ")])
        if item.picture:
            self._pictures[item.name] = item.picture
        self.actions[item.name] = action
        return action
