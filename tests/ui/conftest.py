"""A real window on real workers, and a watchdog over the GUI thread."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

if sys.platform == "linux":
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

import pytest
from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.core.errors import BurnishError
from studio.jobs.pool import JobPool
from studio.locations import DATA_VARIABLE, assets, load_registry
from studio.session import Session
from studio.ui.preferences import Preferences
from studio.ui.theme import Tokens, apply_theme
from studio.ui.window import MainWindow
from studio.workbench import Workbench

SAMPLE = assets() / "samples" / "mnist-resnet.onnx"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the offscreen platform say that it has no window manager."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.qt_log_ignore("propagateSizeHints", extend=True))


@dataclass
class Watchdog:
    """Records how long the GUI thread was not there for a timer that is due every 5 ms."""

    parent: QObject
    longest: float = 0.0
    _last: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        timer = QTimer(self.parent, interval=5)
        timer.timeout.connect(self._tick)
        timer.start()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now


@pytest.fixture
def tokens(qapp: QApplication) -> Tokens:
    return apply_theme(qapp, "light")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def pool() -> Iterator[JobPool]:
    with JobPool() as made:
        yield made


@pytest.fixture
def session(
    pool: JobPool, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path_factory.mktemp("data")))
    made = Session(Workbench(load_registry(), pool, cache))
    yield made
    for job in pool.jobs:
        job.cancel()
        job.wait(10)
    made.close()


@pytest.fixture
def window(qtbot: QtBot, session: Session, tokens: Tokens, tmp_path: Path) -> Iterator[MainWindow]:
    """An empty window, shown; that nothing else is left open is checked at its end."""
    made = MainWindow(session, Preferences(tmp_path / "studio.ini"), tokens)
    made.may_discard = lambda: True  # type: ignore[method-assign]
    with qtbot.waitExposed(made):
        made.show()
    made.activateWindow()
    yield made
    made.close()
    left = [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]
    made.deleteLater()
    assert not left


@dataclass
class Heard:
    """What the window's controller told."""

    errors: list[BurnishError] = field(default_factory=list)


@pytest.fixture
def heard(window: MainWindow) -> Heard:
    made = Heard()
    window.controller.failed.connect(made.errors.append)
    return made


@pytest.fixture
def sample_window(window: MainWindow, qtbot: QtBot, heard: Heard) -> MainWindow:
    """A window with the sample open and surveyed."""
    window.begin([Path("--sample")])
    qtbot.waitUntil(lambda: bool(window.controller.session.surveys), timeout=60_000)
    qtbot.waitUntil(window.workspace.recipe.apply.isEnabled, timeout=10_000)
    assert not heard.errors
    return window
