"""The windows of a process: each with a session of its own on one engine, which is built after the first picture."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from studio.ui.idle import in_turns
from studio.ui.preferences import Preferences
from studio.ui.theme import Tokens, apply_theme
from studio.ui.translate import tr
from studio.ui.welcome import Rescue
from studio.ui.window import MainWindow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from studio.core.recovery import Left
    from studio.session import Session
    from studio.ui.edits import Edits
    from studio.ui.engine import Engine

#: how long a window's last edits may take to be saved
_LAST_EDITS_S = 30.0


class Windows(QObject):
    """Opens windows, furnishes them when the engine is there, and tells all of them of another theme."""

    _built = Signal(object)
    _found = Signal(object)

    def __init__(self, preferences: Preferences, tokens: Tokens) -> None:
        super().__init__()
        self.preferences = preferences
        self.tokens = tokens
        self.windows: list[MainWindow] = []
        self.engine: Engine | None = None
        self._sessions: dict[int, Session] = {}
        self._waiting: list[tuple[MainWindow, list[Path]]] = []
        self._left: list[Left] = []
        self._ending: list[threading.Thread] = []
        self._built.connect(self._on_built, Qt.ConnectionType.QueuedConnection)
        self._found.connect(self._on_found, Qt.ConnectionType.QueuedConnection)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._on_system_scheme)

    def open(self, paths: list[Path]) -> MainWindow:
        """Show a window; what it shall open follows when the engine is there."""
        window = MainWindow(None, self.preferences, self.tokens)
        window.another_asked.connect(lambda: self.open([]))
        window.themed.connect(lambda _: self._spread(window.tokens))
        window.closed.connect(lambda: self._on_closed(window))
        window.welcome.restore_asked.connect(lambda left: self._restore(window, left))
        window.welcome.discard_asked.connect(self._discard)
        self.windows.append(window)
        window.show()
        if self.engine is not None:
            self._furnish(window, paths)
        else:
            self._waiting.append((window, paths))
        return window

    def build(self) -> None:
        """Build the engine on a thread: imports, plugins and the first worker."""
        prefer = self.preferences
        memory, cache = prefer.worker_gigabytes, prefer.cache_gigabytes
        threading.Thread(target=self._build, args=(memory, cache), name="burnish-engine", daemon=True).start()

    def close(self) -> None:
        """Close the engine; the windows are closed already."""
        for thread in self._ending:
            thread.join()
        if self.engine is not None:
            self.engine.close()

    # on the thread

    def _build(self, memory: int, cache: int) -> None:
        from studio.core.recovery import left_behind
        from studio.locations import recovery_folder
        from studio.ui.engine import Engine

        engine = Engine(memory, cache)
        self._built.emit(engine)
        self._found.emit(list(left_behind(recovery_folder())))
        engine.warm()

    # on the GUI thread

    def _on_built(self, engine: Engine) -> None:
        self.engine = engine
        waiting, self._waiting = self._waiting, []
        for window, paths in waiting:
            if window in self.windows:
                self._furnish(window, paths)

    def _furnish(self, window: MainWindow, paths: list[Path]) -> None:
        assert self.engine is not None
        session = self.engine.session()
        self._sessions[id(window)] = session
        in_turns(window, _furnished(window, session, paths))
        self._show_left()

    def _on_found(self, left: list[Left]) -> None:
        self._left = left
        self._show_left()

    def _show_left(self) -> None:
        rescues = [_rescue(left) for left in self._left]
        for window in self.windows:
            window.welcome.set_rescues(rescues)

    def _restore(self, window: MainWindow, left: Left) -> None:
        controller, session = window.controller, window.controller.session

        def done() -> None:
            self._discard(left)
            controller.notice.emit(_restored(left))

        controller.open_with(lambda: session.restore(left, watch=controller.watch), then=done)

    def _discard(self, left: Left) -> None:
        self._left = [one for one in self._left if one is not left]
        self._show_left()
        threading.Thread(target=left.discard, name="burnish-discard", daemon=True).start()

    def _on_closed(self, window: MainWindow) -> None:
        self.windows.remove(window)
        session = self._sessions.pop(id(window), None)
        if self.engine is not None and session is not None:
            # Off the GUI thread: it waits for the last edits and removes files.
            edits = window.edits if window.desk is not None else None
            thread = threading.Thread(target=_end, args=(self.engine, session, edits), name="burnish-end")
            thread.start()
            self._ending.append(thread)
        window.deleteLater()

    def _on_system_scheme(self) -> None:
        app = QApplication.instance()
        if self.preferences.theme == "system" and isinstance(app, QApplication):
            self._spread(apply_theme(app, "system"))

    def _spread(self, tokens: Tokens) -> None:
        self.tokens = tokens
        for window in self.windows:
            if window.tokens != tokens:
                window.wear(tokens)


def _furnished(window: MainWindow, session: Session, paths: list[Path]) -> Iterator[None]:
    yield from window.furnish(session)
    window.begin(paths)


def _end(engine: Engine, session: Session, edits: Edits | None) -> None:
    if edits is not None:
        edits.wait(_LAST_EDITS_S)
    engine.end(session)


def _rescue(left: Left) -> Rescue:
    kept = left.kept
    count = len(kept.project.variants) - 1
    where = tr("saved in {folder}", folder=kept.folder) if kept.folder else tr("never saved")
    detail = tr("{count} variants beside the baseline, {where}, kept {at}", count=count, where=where, at=kept.at)
    return Rescue(kept.project.name, detail, left)


def _restored(left: Left) -> str:
    return tr("The last session ended unexpectedly; {name} is restored.", name=left.kept.project.name)
