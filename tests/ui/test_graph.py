from __future__ import annotations

import time

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage, QPainter
from pytestqt.qtbot import QtBot

from studio.jobs.tasks.graph_layout import DrawnGraph, DrawnNode
from studio.ui.graph.canvas import GraphCanvas
from studio.ui.graph.kinds import color_of
from studio.ui.graph.scene import STEP_Y, Scene
from studio.ui.graph.tab import GraphTab
from studio.ui.theme import Tokens
from studio.ui.window import MainWindow


def node(name: str, rank: int, x: float = 0.0, operator: str = "Relu") -> DrawnNode:
    return DrawnNode(
        name=name,
        operator=operator,
        x=x,
        rank=rank,
        inputs=(f"{name}/in",),
        outputs=(f"{name}/out",),
        shape="float32 [1, 8]",
        attributes={},
        macs=0,
    )


def chain(count: int) -> Scene:
    nodes = tuple(node(f"n{index}", index) for index in range(count))
    edges = tuple((index, index + 1) for index in range(count - 1))
    return Scene(DrawnGraph(nodes=nodes, edges=edges, weights={}, inputs=(), outputs=()))


def test_only_what_is_in_view_is_given() -> None:
    scene = chain(1000)
    view = QRectF(-100, 500 * STEP_Y, 200, 3 * STEP_Y)
    assert set(scene.visible_nodes(view)) <= set(range(499, 505))
    assert 500 in set(scene.visible_nodes(view))
    assert 0 < len(list(scene.visible_edges(view))) < 15
    assert list(scene.visible_nodes(QRectF(5000, 0, 100, 100))) == []


def test_a_long_edge_is_seen_in_its_middle() -> None:
    nodes = tuple(node(f"n{index}", index) for index in range(100))
    scene = Scene(DrawnGraph(nodes=nodes, edges=((0, 99),), weights={}, inputs=(), outputs=()))
    assert len(list(scene.visible_edges(QRectF(-10, 50 * STEP_Y, 20, 10)))) == 1


def test_find_goes_round_and_looks_at_tensors() -> None:
    scene = chain(12)
    assert scene.find("N1", None) == 1
    assert scene.find("n1", 1) == 10
    assert scene.find("n1", 11) == 1
    assert scene.find("n3/out", None) == 3
    assert scene.find("nothing", None) is None


def test_clicks_and_keys_choose_nodes(qtbot: QtBot, tokens: Tokens) -> None:
    canvas = GraphCanvas(tokens)
    qtbot.addWidget(canvas)
    canvas.resize(400, 300)
    canvas.set_scene(chain(5))
    chosen: list[int] = []
    canvas.clicked.connect(chosen.append)
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(200, 40))  # type: ignore[no-untyped-call]
    qtbot.keyClick(canvas, Qt.Key.Key_Down)  # type: ignore[no-untyped-call]
    qtbot.keyClick(canvas, Qt.Key.Key_Up)  # type: ignore[no-untyped-call]
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(10, 290))  # type: ignore[no-untyped-call]
    assert chosen == [0, 1, 0, -1]


def test_zooming_keeps_the_point_under_the_pointer(qtbot: QtBot, tokens: Tokens) -> None:
    canvas = GraphCanvas(tokens)
    qtbot.addWidget(canvas)
    canvas.resize(400, 300)
    canvas.set_scene(chain(5))
    before = canvas.view
    canvas.zoom_by(2.0, QPointF(100, 75))
    after = canvas.view
    assert abs((before.left() + before.width() / 4) - (after.left() + after.width() / 4)) < 1e-6
    assert abs(after.width() * 2 - before.width()) < 1e-6
    canvas.fit()
    assert canvas.view.contains(chain(5).bounds.center())


def test_ten_thousand_nodes_are_painted_at_any_zoom(qtbot: QtBot, tokens: Tokens) -> None:
    canvas = GraphCanvas(tokens)
    qtbot.addWidget(canvas)
    canvas.resize(1000, 800)
    canvas.set_scene(chain(10_000))
    image = QImage(canvas.size(), QImage.Format.Format_ARGB32)
    for prepare in (canvas.start, canvas.fit):
        prepare()
        started = time.perf_counter()
        painter = QPainter(image)
        try:
            canvas.render(painter, QPoint(0, 0))
        finally:
            painter.end()
        print(f"10,000 nodes, zoom {canvas.width() / canvas.view.width():.3f}: {time.perf_counter() - started:.3f} s")
        assert len({image.pixel(x, y) for x in range(0, 1000, 3) for y in range(0, 800, 7)}) > 1


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
    assert len(tab.scene.nodes) == 101
    tab._find.setText("stem/conv")
    tab.find_next()
    assert "stem/conv" in tab._details.toPlainText()
    assert "float32 [24, 1, 3, 3]" in tab._details.toPlainText()
    tab._find.setText("no such thing")
    tab.find_next()
    assert "Nothing holds" in tab._title.text()
    tab.highlight(("stem/conv", "not there"))
    assert len(tab._canvas._marked) == 1
