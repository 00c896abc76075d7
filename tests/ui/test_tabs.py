"""The centre on real measurements and evaluations of the sample."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PySide6.QtCore import QAbstractItemModel, Qt
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from studio.benchmark import BenchOptions
from studio.core.project import BASELINE
from studio.sample import RECIPES
from studio.ui.accuracy.tab import AccuracyTab
from studio.ui.bars import Bar, BarChart
from studio.ui.benchmark.series import POINTS, LiveSeries, common_range
from studio.ui.benchmark.tab import BenchmarkTab
from studio.ui.compare.rows import HEADS, as_csv
from studio.ui.compare.tab import CompareTab
from studio.ui.deploy import DeployTab
from studio.ui.theme import Tokens, load_tokens
from studio.ui.window import MainWindow
from tests.ui.conftest import Heard


def idle(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not window.busy, timeout=90_000)


@pytest.fixture
def folded(sample_window: MainWindow, qtbot: QtBot) -> MainWindow:
    """The sample with batch normalization folded in the variant that is shown."""
    sample_window.controller.apply(RECIPES[0], "folded")
    idle(sample_window, qtbot)
    assert sample_window.controller.session.project.variant("folded").id == sample_window.controller.variant
    return sample_window


def test_benchmark_is_live_then_tabled(
    folded: MainWindow, qtbot: QtBot, heard: Heard, qtmodeltester: ModelTester
) -> None:
    page = folded.workspace.tabs.open_tab("Benchmark")
    assert isinstance(page, BenchmarkTab)
    tab = page.live
    tab.seconds.setValue(0.5)
    with qtbot.waitSignal(folded.controller.samples, timeout=60_000):
        tab.measure([BASELINE, folded.controller.variant])
    assert tab.stop.isEnabled()
    assert not tab.start.isEnabled()
    idle(folded, qtbot)
    qtbot.waitUntil(lambda: tab.model.rowCount() == 2, timeout=10_000)
    cells = [str(tab.model.index(1, column).data()) for column in range(tab.model.columnCount())]
    assert cells[0] == "folded"
    assert "x (" in cells[2]
    assert cells[3].endswith("ms")
    grey = tab.model.index(1, 5).data(Qt.ItemDataRole.ForegroundRole)
    assert grey is not None
    assert grey.name() == folded.controller.tokens.disabled
    model: QAbstractItemModel = tab.model
    qtmodeltester.check(model)  # type: ignore[no-untyped-call]
    assert not heard.errors


def test_stopping_keeps_what_was_measured(folded: MainWindow, qtbot: QtBot, heard: Heard) -> None:
    page = folded.workspace.tabs.open_tab("Benchmark")
    assert isinstance(page, BenchmarkTab)
    tab = page.live
    tab.seconds.setValue(60.0)
    steady: list[str] = []

    def hear(series: str, values: list[int], info: dict[str, str]) -> None:
        if info["phase"] == "steady":
            steady.append(series)

    folded.controller.samples.connect(hear)
    tab.measure([BASELINE, folded.controller.variant])
    qtbot.waitUntil(lambda: len(set(steady)) == 2, timeout=60_000)
    tab.stop.click()
    idle(folded, qtbot)
    assert not heard.errors
    assert len(folded.controller.session.measurements) == 2


def test_accuracy_bars(folded: MainWindow, qtbot: QtBot, heard: Heard) -> None:
    tab = folded.workspace.tabs.open_tab("Accuracy")
    assert isinstance(tab, AccuracyTab)
    assert "Nothing was evaluated" in tab.metrics._note.text()
    tab.metrics.evaluate([BASELINE, folded.controller.variant])
    idle(folded, qtbot)
    qtbot.waitUntil(lambda: len(tab.metrics._chart._bars) == 2)
    baseline, made = tab.metrics._chart._bars
    assert baseline.value > 98
    assert baseline.low < baseline.value < baseline.high
    assert "no significant difference" in made.note
    assert "1,000 samples" in tab.metrics._note.text()
    assert not heard.errors


def test_compare_has_a_row_for_each_variant(
    folded: MainWindow, qtbot: QtBot, qtmodeltester: ModelTester, heard: Heard, tmp_path: Path
) -> None:
    folded.controller.measure([BASELINE, folded.controller.variant], BenchOptions(seconds=0.3))
    idle(folded, qtbot)
    tab = folded.workspace.tabs.open_tab("Compare")
    assert isinstance(tab, CompareTab)
    qtbot.waitUntil(lambda: tab.model.rowCount() == 3, timeout=10_000)
    qtmodeltester.check(tab.model)  # type: ignore[no-untyped-call]
    lines = as_csv(tab.model.rows).splitlines()
    assert lines[0].startswith(",".join(HEADS))
    assert lines[1].startswith("baseline,onnxruntime:CPU")
    tab._view.sortByColumn(list(HEADS).index("Size"), Qt.SortOrder.AscendingOrder)
    sizes = [tab._sorted.index(row, list(HEADS).index("Size")).data(Qt.ItemDataRole.UserRole) for row in range(3)]
    assert sizes == sorted(sizes)
    tab._open(tab._sorted.index(0, 0))
    assert folded.controller.variant == tab.model.rows[tab._sorted.mapToSource(tab._sorted.index(0, 0)).row()].variant
    tab.save_report(tmp_path / "report.html")
    qtbot.waitUntil(lambda: (tmp_path / "report.html").exists() or bool(heard.errors), timeout=20_000)
    assert not heard.errors
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<svg " in page
    assert "folded" in page
    assert "<script" not in page


def test_deploy_writes_a_bundle(folded: MainWindow, qtbot: QtBot, heard: Heard, tmp_path: Path) -> None:
    tab = folded.workspace.tabs.open_tab("Deploy")
    assert isinstance(tab, DeployTab)
    assert tab._path.text().endswith("mnist-resnet-folded.zip")
    tab.set_path(tmp_path / "bundle.zip")
    tab._export.click()
    idle(folded, qtbot)
    qtbot.waitUntil(lambda: "Written" in tab._result.text())
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        manifest = json.loads(archive.read("MANIFEST.json"))
    assert manifest["model"]["sha256"] == folded.controller.session.artifact(folded.controller.variant).sha256
    assert tab._folder.isVisibleTo(tab)
    assert not heard.errors


def test_deploy_says_why_it_could_not(folded: MainWindow, qtbot: QtBot, heard: Heard, tmp_path: Path) -> None:
    tab = folded.workspace.tabs.open_tab("Deploy")
    assert isinstance(tab, DeployTab)
    tab.set_path(tmp_path / "missing" / "bundle.zip")
    tab.export()
    idle(folded, qtbot)
    qtbot.waitUntil(lambda: bool(heard.errors))
    assert "no folder" in heard.errors[0].message
    assert "Exporting" not in tab._result.text()


def test_every_tab_bears_another_theme(folded: MainWindow, qtbot: QtBot) -> None:
    for title in ("Graph", "Benchmark", "Layers", "Accuracy", "Compare", "Deploy"):
        folded.workspace.tabs.open_tab(title)
        folded.set_theme("dark")
        assert folded.controller.tokens == load_tokens("dark")
        folded.set_theme("light")


def test_a_long_series_is_thinned_by_medians() -> None:
    series = LiveSeries("a")
    series.add([1_000_000] * 5, "warmup")
    series.add([2_000_000] * (10 * POINTS), "steady")
    x, y = series.line()
    assert len(x) == len(y) <= POINTS
    assert x[0] <= 0 < x[-1]
    assert set(y[1:].tolist()) == {2.0}
    assert series.median == 2.0


def test_the_common_range_leaves_outliers_out() -> None:
    assert common_range([LiveSeries("empty")]) is None
    series = LiveSeries("a")
    series.add([1_000_000] * 90 + [900_000_000] * 10, "steady")
    span = common_range([series])
    assert span is not None
    assert span[1] < 2
    places, density = series.density(*span)
    assert len(places) == len(density)
    assert places[density.argmax()] == pytest.approx(1.0, abs=0.02)


def test_bars_paint_without_values_and_with_a_point(qtbot: QtBot, tokens: Tokens) -> None:
    chart = BarChart(tokens)
    qtbot.addWidget(chart)
    chart.set_bars([])
    assert not chart.grab().isNull()
    chart.set_bars([Bar("a", 1.0, 1.0, 1.0, "1.0")])
    assert not chart.grab().isNull()
    assert "a: 1.0" in chart.accessibleDescription()
