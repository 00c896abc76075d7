"""What the studio remembers between two starts: window, theme, recent files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

from PySide6.QtCore import QByteArray, QSettings

from studio.ui.theme import Choice

RECENT = 8


class Preferences:
    """Settings in an INI file.

    Parameters
    ----------
    path
        The file; made at the first change.
    """

    def __init__(self, path: Path) -> None:
        self._store = QSettings(str(path), QSettings.Format.IniFormat)

    @property
    def theme(self) -> Choice:
        """Which theme the user chose; ``"system"`` at first."""
        value = self._text("theme")
        return cast(Choice, value) if value in get_args(Choice) else "system"

    @theme.setter
    def theme(self, choice: Choice) -> None:
        self._store.setValue("theme", choice)

    @property
    def recent(self) -> list[Path]:
        """Models and projects that were open, the last first; those that are gone are left out."""
        return [path for text in self._text("recent").split("\n") if text and (path := Path(text)).exists()]

    def add_recent(self, path: Path) -> None:
        """Put a model or project first."""
        paths = [path, *(known for known in self.recent if known != path)]
        self._store.setValue("recent", "\n".join(str(item) for item in paths[:RECENT]))

    def keep(self, states: Mapping[str, QByteArray]) -> None:
        """Keep sizes and layouts by name."""
        for name, state in states.items():
            self._store.setValue(f"layout/{name}", state)
        self._store.sync()

    def layout(self, name: str) -> QByteArray:
        """Give a size or layout that was kept; empty when there is none."""
        value = self._store.value(f"layout/{name}")
        return value if isinstance(value, QByteArray) else QByteArray()

    def _text(self, name: str) -> str:
        return str(self._store.value(name) or "")
