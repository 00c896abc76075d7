"""The Layers tab on a real profile of the sample."""

from __future__ import annotations

import json
from pathlib import Path

from pytestqt.qtbot import QtBot

from studio.ui.layers.tab import LayersTab
from studio.ui.window import MainWindow
from tests.ui.conftest import Heard


def test_a_variant_is_profiled_and_traced(
    sample_window: MainWindow, qtbot: QtBot, heard: Heard, tmp_path: Path
) -> None:
    tab = sample_window.workspace.tabs.open_tab("Layers")
    assert isinstance(tab, LayersTab)
    tab.seconds.setValue(0.5)
    tab.profile()
    qtbot.waitUntil(lambda: tab.table is not None or bool(heard.errors), timeout=60_000)
    assert not heard.errors
    assert tab.table is not None
    assert len(tab.table.rows) > 10
    tab.grouping.setCurrentIndex(tab.grouping.findData("block"))
    assert any("/" in row.title for row in tab.table.rows)
    tab.save_trace(tmp_path / "trace.json")
    qtbot.waitUntil((tmp_path / "trace.json").exists)
    assert json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    tab.put_into_recipe("quantize.static:between=true")
    session = sample_window.controller.session
    qtbot.waitUntil(lambda: any(step.pass_id == "quantize.static" for step in session.project.recipe.steps))
