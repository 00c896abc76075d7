"""Every screen in light and dark: painted, not blank, in the theme's own colours.

``BURNISH_SHOTS=FOLDER`` keeps the pictures, to be looked at.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from studio.benchmark import BenchOptions
from studio.core.project import BASELINE
from studio.sample import RECIPES
from studio.ui.tabs import TABS
from studio.ui.theme import load_tokens
from studio.ui.window import MainWindow

SIZE = (1440, 900)
#: the offscreen platform says that it has no window manager
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", extend=True)


def idle(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not window.busy, timeout=90_000)


def colours(image: QImage) -> Counter[str]:
    return Counter(
        image.pixelColor(x, y).name() for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)
    )


def shoot(window: MainWindow, name: str, folder: Path) -> QImage:
    path = Path(os.environ.get("BURNISH_SHOTS", folder)) / f"{name}.png"
    picture = window.grab()
    assert picture.save(str(path))
    return picture.toImage()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_welcome(window: MainWindow, theme: str, tmp_path: Path) -> None:
    window.resize(*SIZE)
    window.set_theme("dark" if theme == "dark" else "light")
    found = colours(shoot(window, f"{theme}-welcome", tmp_path))
    assert len(found) > 10


def test_every_tab_in_both_themes(sample_window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    sample_window.resize(*SIZE)
    controller = sample_window.controller
    controller.apply(RECIPES[0], "folded")
    idle(sample_window, qtbot)
    controller.measure([BASELINE, controller.variant], BenchOptions(seconds=0.3))
    idle(sample_window, qtbot)
    controller.evaluate([BASELINE, controller.variant])
    idle(sample_window, qtbot)
    for theme in ("light", "dark"):
        sample_window.set_theme("dark" if theme == "dark" else "light")
        tokens = load_tokens("dark" if theme == "dark" else "light")
        for title in TABS:
            tab = sample_window.workspace.tabs.open_tab(title)
            qtbot.waitUntil(tab.isVisible)
            qtbot.wait(400)
            found = colours(shoot(sample_window, f"{theme}-{title.lower()}", tmp_path))
            assert len(found) > 30, title
            light_surface = load_tokens("light").surface
            surfaces = found[tokens.surface] + found[tokens.window]
            assert surfaces > 0.4 * found.total(), title
            if theme == "dark":
                assert found[light_surface] < 0.02 * found.total(), title
