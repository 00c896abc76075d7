from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from studio.core.errors import BurnishError
from studio.session import Session
from studio.ui.start import screenshot
from tests.ui.conftest import SAMPLE


def test_a_screenshot_shows_a_project(
    qtbot: QtBot, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("BURNISH_CACHE", str(cache))
    session.open_model(SAMPLE)
    folder = session.save_as(tmp_path / "p.burnish")
    session.close()
    target = tmp_path / "window.png"
    screenshot(folder, target)
    picture = QImage(str(target))
    assert (picture.width(), picture.height()) == (1440, 900)
    colors = {picture.pixel(x, y) for x in range(0, 1440, 3) for y in range(0, 900, 3)}
    assert len(colors) > 20
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".ini"] == []


def test_a_screenshot_of_nothing_is_an_error(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("BURNISH_CACHE", str(cache))
    with pytest.raises(BurnishError):
        screenshot(tmp_path / "none.burnish", tmp_path / "window.png")


def test_the_window_needs_no_heavy_library_to_be_painted() -> None:
    code = (
        "import sys, studio.ui.start; print([m for m in ('numpy', 'onnx', 'onnx_ir', 'pyqtgraph') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
