"""Measured overlays, two graphs side by side, and the pages of the Accuracy tab, on a quantized sample."""

from __future__ import annotations

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from studio.core.project import BASELINE
from studio.core.recipe import Recipe, Step
from studio.ui.accuracy.tab import AccuracyTab
from studio.ui.graph.overlays import titles
from studio.ui.graph.tab import GraphTab
from studio.ui.window import MainWindow
from tests.ui.conftest import SAMPLE, Heard
from tests.ui.test_tabs import idle

RECIPE = Recipe(steps=(Step(pass_id="graph.fold-batchnorm"), Step(pass_id="quantize.dynamic")))


@pytest.fixture
def small(sample_window: MainWindow, qtbot: QtBot, heard: Heard) -> MainWindow:
    """The sample with a variant in 8 bits that is shown."""
    sample_window.controller.apply(RECIPE, "small")
    idle(sample_window, qtbot)
    assert not heard.errors
    assert sample_window.controller.variant != BASELINE
    return sample_window


def graph(window: MainWindow, qtbot: QtBot) -> GraphTab:
    tab = window.workspace.tabs.open_tab("Graph")
    assert isinstance(tab, GraphTab)
    qtbot.waitUntil(lambda: tab.scene is not None, timeout=30_000)
    return tab


def test_overlays_that_need_a_job(small: MainWindow, qtbot: QtBot, heard: Heard) -> None:
    tab = graph(small, qtbot)
    for key in titles():
        tab.show_overlay(key)
        qtbot.waitUntil(lambda: not tab._legend.note.endswith("…"), timeout=60_000)
        overlay = tab.canvas.look.overlay
        if key in ("kind", "difference"):
            continue
        assert overlay is not None, key
        assert np.isfinite(overlay.values).any(), key
        shown = overlay.values[np.isfinite(overlay.values)]
        assert overlay.text(float(shown[0]))
        if key == "time":
            assert overlay.values[np.isfinite(overlay.values)].sum() > 0
    assert not heard.errors


def test_side_by_side_moves_and_selects_together(small: MainWindow, qtbot: QtBot, heard: Heard) -> None:
    tab = graph(small, qtbot)
    tab.show_beside(BASELINE)
    qtbot.waitUntil(lambda: tab.beside.link is not None, timeout=30_000)
    link = tab.beside.link
    assert link is not None
    assert "added" in tab.beside.summary
    assert tab.colouring.key == "difference"
    assert tab.canvas.look.ringed
    item = int(np.flatnonzero(link.to_right >= 0)[-1])
    tab.canvas._go(item)
    other = int(link.to_right[item])
    assert tab.beside.canvas.selected == other
    assert tab.beside.canvas.view.intersects(link.right.rect(other))
    here = link.left.rect(item).center() - tab.canvas.view.topLeft()
    there = link.right.rect(other).center() - tab.beside.canvas.view.center()
    assert abs((here.y() - tab.canvas.view.height() / 2) - there.y()) < 1
    tab.show_beside("")
    assert not tab.beside.isVisible()
    assert tab.colouring.key == "kind"
    tab.show_file_beside(SAMPLE)
    qtbot.waitUntil(lambda: tab.beside.link is not None, timeout=30_000)
    assert "matched by weights and structure" in tab.beside.summary
    assert not heard.errors


def test_accuracy_pages(small: MainWindow, qtbot: QtBot, heard: Heard) -> None:
    tab = small.workspace.tabs.open_tab("Accuracy")
    assert isinstance(tab, AccuracyTab)
    tab.layers.ask.click()
    qtbot.waitUntil(lambda: bool(tab.layers.table.rows.rows), timeout=60_000)
    tab.layers.table.choose(0)
    node = tab.layers.table.chosen.subject.node  # type: ignore[union-attr]
    tab.layers.keep.click()
    session = small.controller.session
    # what the window suggests may come first
    wanted = "quantize.dynamic"
    qtbot.waitUntil(lambda: any(step.pass_id == wanted for step in session.project.recipe.steps), timeout=10_000)
    step = next(step for step in session.project.recipe.steps if step.pass_id == wanted)
    assert not step.scope.selects(node, "Conv")
    tab.classes.ask.click()
    idle(small, qtbot)
    qtbot.waitUntil(lambda: len(tab.classes.table.rows.rows) == 10, timeout=10_000)
    assert tab.classes.matrix.counts.sum() == 1000
    tab.samples.ask.click()
    qtbot.waitUntil(lambda: "samples of mnist-eval.npz" in tab.samples.note.text(), timeout=60_000)
    tab.data.check.click()
    qtbot.waitUntil(lambda: "speaks against" in tab.data.findings.text(), timeout=60_000)
    tab.data.set_field("split", "nonsense")
    qtbot.waitUntil(lambda: bool(heard.errors), timeout=10_000)
    assert session.project.settings.split == ""
