from __future__ import annotations

import time

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage, QPainter
from pytestqt.qtbot import QtBot

from studio.ui.graph.canvas import GraphCanvas
from studio.ui.graph.kinds import color_of
from studio.ui.graph.overlay import Overlay, share
from studio.ui.graph.overlays import OVERLAYS
from studio.ui.graph.painting import TINY
from studio.ui.graph.scene import STEP_Y
from studio.ui.graph.tab import GraphTab
from studio.ui.theme import Tokens
from studio.ui.window import MainWindow
from tests.ui.pictures import chain, residual, scene


@pytest.fixture
def canvas(qtbot: QtBot, tokens: Tokens) -> GraphCanvas:
    made = GraphCanvas(tokens)
    qtbot.addWidget(made)
    made.resize(400, 300)
    return made


def test_only_what_is_in_view_is_given() -> None:
    shown = chain(1000)
    view = QRectF(-100, 500 * STEP_Y, 200, 3 * STEP_Y)
    assert 500 in set(shown.visible_items(view).tolist()) <= set(range(499, 505))
    assert 0 < len(shown.visible_edges(view)) < 15
    assert not len(shown.visible_items(QRectF(5000, 0, 100, 100)))


def test_a_skipping_edge_is_seen_in_its_middle() -> None:
    shown = scene(["Relu"] * 30, [*((at, at + 1) for at in range(29)), (0, 29)])
    wide = shown.bounds.adjusted(-500, 0, 500, 0)
    middle = QRectF(wide.left(), 15 * STEP_Y + 10, wide.width(), 10)
    assert len(shown.visible_edges(middle)) == 2


def test_clicks_and_keys_choose_items(qtbot: QtBot, canvas: GraphCanvas) -> None:
    canvas.set_scene(chain(5))
    chosen: list[int] = []
    canvas.clicked.connect(chosen.append)
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(200, 40))  # type: ignore[no-untyped-call]
    qtbot.keyClick(canvas, Qt.Key.Key_Down)  # type: ignore[no-untyped-call]
    qtbot.keyClick(canvas, Qt.Key.Key_Up)  # type: ignore[no-untyped-call]
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(10, 290))  # type: ignore[no-untyped-call]
    assert chosen == [0, 1, 0, -1]


def test_a_block_asks_to_be_opened(qtbot: QtBot, canvas: GraphCanvas) -> None:
    shown = residual(6, closed=True)
    block = next(item for item in range(shown.count) if shown.block(item) is not None)
    canvas.set_scene(shown)
    asked: list[int] = []
    canvas.toggled.connect(asked.append)
    canvas.select(block, show=True)
    qtbot.keyClick(canvas, Qt.Key.Key_Return)  # type: ignore[no-untyped-call]
    qtbot.mouseDClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.rect().center())  # type: ignore[no-untyped-call]
    assert asked == [int(shown.picture.block[block])] * 2


def test_a_rectangle_gathers_items(qtbot: QtBot, canvas: GraphCanvas) -> None:
    canvas.set_scene(chain(5))
    canvas.fit()
    found: list[frozenset[int]] = []
    canvas.gathered.connect(found.append)
    shift = Qt.KeyboardModifier.ShiftModifier
    left = Qt.MouseButton.LeftButton
    qtbot.mousePress(canvas, left, shift, QPoint(1, 1))  # type: ignore[no-untyped-call]
    qtbot.mouseMove(canvas, QPoint(399, 299))  # type: ignore[no-untyped-call]
    qtbot.mouseRelease(canvas, left, shift, QPoint(399, 299))  # type: ignore[no-untyped-call]
    assert found == [frozenset(range(5))]


def test_zooming_keeps_the_point_under_the_pointer(canvas: GraphCanvas) -> None:
    canvas.set_scene(chain(5))
    before = canvas.view
    canvas.zoom_by(2.0, QPointF(100, 75))
    after = canvas.view
    assert abs((before.left() + before.width() / 4) - (after.left() + after.width() / 4)) < 1e-6
    assert abs(after.width() * 2 - before.width()) < 1e-6
    canvas.fit()
    assert canvas.view.contains(chain(5).bounds.center())


def test_the_minimap_goes_where_it_is_pressed(qtbot: QtBot, canvas: GraphCanvas) -> None:
    canvas.set_scene(chain(200))
    assert canvas.minimap.isVisibleTo(canvas)
    qtbot.mouseClick(canvas.minimap, Qt.MouseButton.LeftButton, pos=canvas.minimap.rect().center())  # type: ignore[no-untyped-call]
    assert canvas.view.center().y() == pytest.approx(canvas.scene.bounds.center().y(), rel=0.05)  # type: ignore[union-attr]
    canvas.set_scene(chain(3))
    assert not canvas.minimap.isVisibleTo(canvas)


def picture_of(canvas: GraphCanvas) -> QImage:
    image = QImage(canvas.size(), QImage.Format.Format_ARGB32)
    painter = QPainter(image)
    try:
        canvas.render(painter, QPoint(0, 0))
    finally:
        painter.end()
    return image


def colours(image: QImage) -> set[int]:
    return {image.pixel(x, y) for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)}


def test_ten_thousand_nodes_are_painted_at_any_zoom(canvas: GraphCanvas) -> None:
    canvas.resize(1000, 800)
    canvas.set_scene(residual(2500))
    for zoom in (1.0, 0.3, TINY / 2):
        canvas.start()
        canvas.zoom_by(zoom / canvas.zoom)
        started = time.perf_counter()
        image = picture_of(canvas)
        print(f"10,001 nodes, zoom {canvas.zoom:.3f}: {time.perf_counter() - started:.3f} s")
        assert len(colours(image)) > 3
    canvas.fit()
    assert len(colours(picture_of(canvas))) > 3


def test_an_overlay_colours_and_writes(canvas: GraphCanvas, tokens: Tokens) -> None:
    shown = chain(4)
    canvas.set_scene(shown)
    plain = colours(picture_of(canvas))
    overlay = share("Share", [0, 1, 3, 0])
    assert overlay.of_items(shown.picture).tolist() == [0, 0.25, 0.75, 0]
    assert overlay.text(0.25) == "25.0 %"
    canvas.set_overlay(overlay)
    assert colours(picture_of(canvas)) != plain


def test_values_of_a_block_are_those_of_its_nodes() -> None:
    shown = residual(6, closed=True)
    count = shown.nodes
    values = np.ones(count)
    values[0] = np.nan
    for over, wanted in (("sum", 4.0), ("mean", 1.0), ("max", 1.0)):
        found = Overlay("t", values, str, over=over).of_items(shown.picture)  # type: ignore[arg-type]
        sizes = np.bincount(shown.picture.of_node[1:], minlength=shown.count)
        block = next(item for item in range(shown.count) if shown.block(item) is not None and item > 0)
        assert found[block] == (sizes[block] if over == "sum" else wanted)
        assert np.isnan(found[0]) == (len(shown.members(0)) == 1)


def test_kinds_have_colours_of_their_own(tokens: Tokens) -> None:
    colors = {
        color_of(operator, tokens) for operator in ("Conv", "Relu", "BatchNormalization", "QuantizeLinear", "Add")
    }
    assert len(colors) == 5
    assert color_of("com.microsoft.FusedConv", tokens) == color_of("Conv", tokens)


def test_the_tab_shows_the_sample_and_its_details(sample_window: MainWindow, qtbot: QtBot) -> None:
    tab = sample_window.workspace.tabs.open_tab("Graph")
    assert isinstance(tab, GraphTab)
    qtbot.waitUntil(lambda: tab.scene is not None, timeout=30_000)
    assert tab.scene is not None
    assert tab.scene.nodes == 101
    assert tab.scene.count < 60
    tab._find.setText("stem/conv")
    tab.find_next()
    qtbot.waitUntil(lambda: "24 x 1 x 3 x 3" in tab._details.toPlainText(), timeout=30_000)
    assert "stem/conv" in tab._details.toPlainText()
    assert "kernel_shape" in tab._details.toPlainText()
    tab._find.setText("no such thing")
    tab.find_next()
    assert "Nothing holds" in tab._title.text()
    tab.highlight(("stem/conv", "not there"))
    assert len(tab.canvas.look.marked) == 1


def test_blocks_open_and_close_in_the_tab(sample_window: MainWindow, qtbot: QtBot) -> None:
    tab = sample_window.workspace.tabs.open_tab("Graph")
    assert isinstance(tab, GraphTab)
    qtbot.waitUntil(lambda: tab.scene is not None, timeout=30_000)
    first = tab.scene
    assert first is not None
    item = next(item for item in range(first.count) if first.block(item) is not None)
    block = int(first.picture.block[item])
    tab.canvas.toggled.emit(block)
    qtbot.waitUntil(lambda: tab.scene is not first, timeout=30_000)
    opened = tab.scene
    assert opened is not None
    assert opened.count > first.count
    assert len(opened.frames) == len(first.frames) + 1
    tab.canvas.toggled.emit(block)
    qtbot.waitUntil(lambda: tab.scene is not opened, timeout=30_000)
    assert tab.scene is not None
    assert tab.scene.count == first.count


def test_every_overlay_of_the_sample(sample_window: MainWindow, qtbot: QtBot) -> None:
    tab = sample_window.workspace.tabs.open_tab("Graph")
    assert isinstance(tab, GraphTab)
    qtbot.waitUntil(lambda: tab.scene is not None, timeout=30_000)
    seen = []
    for key in OVERLAYS:
        tab.show_overlay(key)
        seen.append(tuple(sorted(colours(picture_of(tab.canvas)))))
    assert len(set(seen)) == len(OVERLAYS)
