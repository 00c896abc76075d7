"""Opening the studio."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEventLoop, QMessageLogContext, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from studio.core.errors import BurnishError, JobError
from studio.locations import config_folder
from studio.ui.idle import Collector
from studio.ui.netron.embedding import prepare
from studio.ui.preferences import Preferences
from studio.ui.theme import apply_theme
from studio.ui.windows import Windows

if TYPE_CHECKING:
    from studio.session import Session

#: how long a screenshot waits for surveys and the graph
_PATIENCE_S = 60.0
_POLL_MS = 100


def show(paths: list[Path]) -> int:
    """Open the studio on models or projects, ``--sample`` for the sample; gives the exit status."""
    app = _application()
    preferences = Preferences(config_folder() / "studio.ini")
    tokens = apply_theme(app, preferences.theme)
    windows = Windows(preferences, tokens)
    windows.open(paths)
    # Painted first: what is heavy comes after.
    QTimer.singleShot(0, windows, windows.build)
    collector = Collector(windows)
    try:
        return app.exec()
    finally:
        collector.close()
        windows.close()


def screenshot(project: Path, target: Path) -> None:
    """Draw the window with a project open into a PNG; needs no display.

    Raises
    ------
    BurnishError
        When the project cannot be opened or the picture not be written.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from studio.ui.window import MainWindow

    earlier = qInstallMessageHandler(_relevant)
    app = _application()
    tokens = apply_theme(app, "light")
    with tempfile.TemporaryDirectory() as scratch, _session() as session:
        window = MainWindow(session, Preferences(Path(scratch) / "studio.ini"), tokens)
        failures: list[BurnishError] = []
        window.controller.failed.connect(failures.append)
        window.show()
        window.begin([project])
        _wait(lambda: bool(failures) or (session.is_open and bool(session.surveys) and not window.busy))
        saved = not failures and window.grab().save(str(target))
        window.close()
        window.deleteLater()
    qInstallMessageHandler(earlier)
    if failures:
        raise failures[0]
    if not saved:
        raise JobError(f"The picture {target} cannot be written.", "Choose another folder.")


def _relevant(_kind: QtMsgType, _context: QMessageLogContext, text: str | None) -> None:
    """Pass on what Qt has to say, but for what its offscreen platform complains about at every window."""
    if text and "propagateSizeHints" not in text:
        sys.stderr.write(f"{text}\n")


def _application() -> QApplication:
    known = QApplication.instance()
    if known is None:
        prepare()
    app = known if isinstance(known, QApplication) else QApplication(["burnish"])
    app.setApplicationName("Burnish")
    app.setDesktopFileName("burnish")
    return app


@contextmanager
def _session() -> Iterator[Session]:
    from studio.jobs.pool import JobPool
    from studio.locations import cache_folder, load_registry
    from studio.session import Session
    from studio.workbench import Workbench

    with JobPool() as pool:
        work = Workbench(load_registry(), pool, cache_folder())
        session = Session(work)
        try:
            yield session
        finally:
            session.close()
            work.close()


def _wait(ready: Callable[[], bool]) -> None:
    """Let events run until something is so, or patience ends."""
    loop = QEventLoop()
    poll = QTimer(interval=_POLL_MS)
    poll.timeout.connect(lambda: loop.quit() if ready() else None)
    poll.start()
    QTimer.singleShot(round(1000 * _PATIENCE_S), loop.quit)
    loop.exec()
