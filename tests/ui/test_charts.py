"""Charts, their pictures, and what they are drawn from."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from pytestqt.qtbot import QtBot

from studio.ui.benchmark.charts import DensityChart, LatencyChart, RatioChart, short_names
from studio.ui.benchmark.running import curve, running_ratio
from studio.ui.benchmark.series import LiveRun, LiveSeries
from studio.ui.charts.bars import BarRow, BarsChart
from studio.ui.charts.scale import tick_text, ticks
from studio.ui.compare.charts import ParetoChart, RadarChart
from studio.ui.compare.rows import BY_KEY, CompareRow, front
from studio.ui.theme import Tokens


def test_ticks_are_round_and_told_apart() -> None:
    found = ticks(0.0, 1.0, 5)
    assert [tick_text(value, found) for value in found] == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert ticks(1.0, 1.0, 5) == []


def test_a_running_ratio_settles_on_the_truth() -> None:
    found = list(curve([2_000_000 + i % 7 for i in range(100)], [1_000_000 + i % 5 for i in range(100)]))
    assert found[-1].pairs == 100
    assert found[-1].ratio == pytest.approx(2.0, rel=1e-3)
    assert found[-1].verdict == "faster"
    few = running_ratio([2, 2], [1, 1])
    assert few is not None
    assert few.verdict == "no significant difference"


def test_pairs_are_told_apart_by_their_jobs() -> None:
    run = LiveRun("a")
    for job, name, factor in (("1", "b", 1), ("2", "c", 2)):
        run.add("a", [2_000_000] * 20, {"phase": "steady", "job": job})
        run.add(name, [factor * 1_000_000] * 20, {"phase": "steady", "job": job})
    run.add("c", [], {"phase": "noise", "job": "2", "first": 3, "end": 5, "text": "busy"})
    run.estimate()
    assert [run.pairs[name].points[-1].ratio for name in "bc"] == pytest.approx([2.0, 1.0])
    assert run.series["c"].noise == [(3, 5, "busy")]
    assert short_names(["a @ x", "b @ x"]) == ["a", "b"]


def test_charts_become_svg_and_png(qtbot: QtBot, tokens: Tokens, tmp_path: Path) -> None:
    series = LiveSeries("a @ x")
    series.add([3_000_000] * 9, "warmup")
    series.add([1_000_000 + 1000 * (i % 9) for i in range(100)], "steady")
    series.disturb(10, 20, "busy")
    latency, density, bars = LatencyChart(tokens), DensityChart(tokens), BarsChart("Bars", "none", tokens)
    for chart in (latency, density, bars, RatioChart(tokens)):
        qtbot.addWidget(chart)
        assert chart.picture() is None
        assert not chart.grab().isNull()
    latency.show_series([series])
    density.show_series([series])
    bars.set_rows([BarRow("up", (1.0,), ("1",)), BarRow("down", (-1.0,), ("-1",))])
    for chart, text in ((latency, "warm-up"), (density, "p90"), (bars, "down")):
        picture = chart.picture()
        assert picture is not None
        svg = picture.svg()
        ElementTree.fromstring(svg)
        assert text in svg
        path = tmp_path / f"{picture.file_name}.png"
        chart.menu.save(picture, path)
        qtbot.waitUntil(path.exists)
        assert picture.image().width() == 2 * picture.size.width()


def test_the_front_is_what_nothing_beats(qtbot: QtBot, tokens: Tokens) -> None:
    values = {"a": (1.0, 9.0), "b": (2.0, 8.0), "c": (0.5, 8.5)}
    rows = [
        CompareRow(name, name, "d", (), (), {"ratio": x, "size": y, "p50": 1 / x}) for name, (x, y) in values.items()
    ]
    x, y = BY_KEY["ratio"], BY_KEY["size"]
    assert [row.name for row in front(rows, x, y)] == ["b"]
    assert [row.name for row in front(rows[::2], x, y)] == ["c", "a"]
    chart, radar = ParetoChart(tokens), RadarChart(tokens)
    qtbot.addWidget(chart)
    qtbot.addWidget(radar)
    chart.show_rows(rows, x, y)
    assert "b" in chart.hint_at(chart.place_of("b"))
    radar.show_rows(rows)
    assert radar.share(rows[1], x) == 1.0
    assert not chart.grab().isNull()
