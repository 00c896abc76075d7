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

    @property
    def threads(self) -> int:
        """Threads for one inference in the window's benchmarks; 0 lets the runtime choose."""
        return self._number("threads")

    @threads.setter
    def threads(self, count: int) -> None:
        self._store.setValue("threads", count)

    @property
    def cache_gigabytes(self) -> int:
        """What the cache of models may take; 0 for the limit that the disk suggests."""
        return self._number("cache_gigabytes")

    @cache_gigabytes.setter
    def cache_gigabytes(self, size: int) -> None:
        self._store.setValue("cache_gigabytes", size)

    @property
    def worker_gigabytes(self) -> int:
        """Memory above which a worker is ended; 0 when only the machine's memory counts."""
        return self._number("worker_gigabytes")

    @worker_gigabytes.setter
    def worker_gigabytes(self, size: int) -> None:
        self._store.setValue("worker_gigabytes", size)

    @property
    def notify(self) -> bool:
        """Whether the desktop is told when long work ends."""
        return self._text("notify") != "no"

    @notify.setter
    def notify(self, wanted: bool) -> None:
        self._store.setValue("notify", "yes" if wanted else "no")

    @property
    def toured(self) -> bool:
        """Whether the tour was offered already."""
        return self._text("toured") == "yes"

    @toured.setter
    def toured(self, done: bool) -> None:
        self._store.setValue("toured", "yes" if done else "no")

    def keep(self, states: Mapping[str, QByteArray]) -> None:
        """Keep sizes and layouts by name."""
        for name, state in states.items():
            self._store.setValue(f"layout/{name}", state)
        self._store.sync()

    def layout(self, name: str) -> QByteArray:
        """Give a size or layout that was kept; empty when there is none."""
        value = self._store.value(f"layout/{name}")
        return value if isinstance(value, QByteArray) else QByteArray()

    def _number(self, name: str) -> int:
        text = self._text(name)
        return int(text) if text.isascii() and text.isdecimal() else 0

    def _text(self, name: str) -> str:
        return str(self._store.value(name) or "")
