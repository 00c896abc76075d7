"""Netron's page without a web engine: what is served to whom, and what the page may ask for."""

from __future__ import annotations

import datetime
import http.client
import json
import queue
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from studio.core.artifact import open_artifact
from studio.ui.graph.tab import GraphTab
from studio.ui.netron.embedding import may_load
from studio.ui.netron.server import HOST, POLICY, NetronServer, netron_folder, patched
from studio.ui.window import MainWindow
from tests.ui.conftest import SAMPLE, Heard


@pytest.fixture
def told() -> queue.Queue[str]:
    return queue.Queue()


@pytest.fixture
def server(told: queue.Queue[str]) -> Iterator[NetronServer]:
    made = NetronServer(open_artifact(SAMPLE), 'a "model"', told.put)
    yield made
    made.close()


def ask(
    server: NetronServer, path: str, *, method: str = "GET", body: bytes | None = None, host: str = ""
) -> tuple[int, bytes, dict[str, str]]:
    link = http.client.HTTPConnection(HOST, server.port, timeout=10)
    try:
        link.request(method, path, body, {"Host": host} if host else {})
        answer = link.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        link.close()


def test_the_page_asks_for_nothing_outside(server: NetronServer) -> None:
    status, body, headers = ask(server, f"/{server.token}/")
    page = body.decode()
    assert status == 200
    assert headers["Content-Security-Policy"] == POLICY
    assert "connect-src 'self'" in POLICY
    assert headers["Set-Cookie"].startswith("consent=1;")
    assert '<meta name="version" content="0.0.0">' in page
    assert f'<meta name="date" content="{datetime.date.today().isoformat()} 00:00:00">' in page
    assert '<meta name="name" content="a _model_">' in page
    assert '<script type="text/javascript" src="burnish.js"></script>' in page


def test_netron_is_the_one_that_the_page_is_written_for() -> None:
    page = (netron_folder() / "index.html").read_text("utf-8")
    assert '<meta name="version" content="9.3.3">' in page
    assert patched(page, "m", datetime.date(2026, 1, 2)).count('content="2026-01-02 00:00:00"') == 1
    view = (netron_folder() / "view.js").read_text("utf-8")
    for name in ("activate(value, source)", "scrollTo(selection", "this._table", "get selection()", "this._width"):
        assert name in view
    base = (netron_folder() / "base.js").read_text("utf-8")
    assert "if (this._session)" in base  # without a start nothing is sent


def test_only_the_model_and_netrons_files_are_served(server: NetronServer, tmp_path: Path) -> None:
    home = f"/{server.token}"
    assert ask(server, f"{home}/data/model.onnx")[:2] == (200, SAMPLE.read_bytes())
    assert ask(server, f"{home}/view.js")[0] == 200
    for path in (
        "/",
        "/data/model.onnx",
        "/wrong/data/model.onnx",
        f"{home}/data/mnist-eval.npz",
        f"{home}/data/../data/model.onnx.bak",
        f"{home}/../netron/server.py",
        f"{home}/server.py",
        f"{home}/%2e%2e/onnx/__init__.py",
    ):
        assert ask(server, path)[0] == 404
    assert ask(server, f"{home}/", host="somewhere.example")[0] == 404
    weights = tmp_path / "weights"
    weights.write_bytes(b"1")
    server.files["weights"] = weights
    assert ask(server, f"{home}/data/weights")[:2] == (200, b"1")


def test_selection_goes_both_ways(server: NetronServer, told: queue.Queue[str]) -> None:
    home = f"/{server.token}"
    body = json.dumps({"node": "conv 1"}).encode()
    assert ask(server, f"{home}/selected", method="POST", body=body)[0] == 204
    assert told.get(timeout=5) == "conv 1"
    for wrong in (b"", b"{", b"[]", b"x" * 70_000):
        assert ask(server, f"{home}/selected", method="POST", body=wrong)[0] == 404
    assert ask(server, "/selected", method="POST", body=body)[0] == 404
    assert told.empty()
    server.select("conv 2")
    link = http.client.HTTPConnection(HOST, server.port, timeout=10)
    link.request("GET", f"{home}/events")
    answer = link.getresponse()
    assert answer.readline() == b'data: {"node": "conv 2"}\n'
    server.serve(open_artifact(SAMPLE), "again")
    assert [answer.readline(), answer.readline()] == [b"\n", b'data: {"reload": true}\n']
    server.close()
    assert answer.read() == b"\n"
    link.close()
    with pytest.raises(OSError):
        ask(server, home)


def test_the_embedded_page_may_only_ask_its_server() -> None:
    home = "http://127.0.0.1:4711/secret/"
    for url in (home, home + "view.js?version=1", "blob:http://127.0.0.1:4711/1-2", "data:image/png;base64,AA"):
        assert may_load(url, home)
    for url in (
        "https://ipinfo.io/json",
        "https://www.google-analytics.com/g/collect",
        "http://127.0.0.1:4712/secret/",
        "http://127.0.0.1:4711/other/",
        "file:///etc/passwd",
    ):
        assert not may_load(url, home)


def test_the_browser_shows_the_model_and_its_selection_follows(
    sample_window: MainWindow, qtbot: QtBot, heard: Heard
) -> None:
    tab = sample_window.workspace.tabs.open_tab("Graph")
    assert isinstance(tab, GraphTab)
    qtbot.waitUntil(lambda: tab.scene is not None, timeout=30_000)
    opened: list[str] = []
    tab.netron.embedded, tab.netron.open_url = False, opened.append
    tab.netron.button.click()
    served = tab.netron.server
    assert served is not None
    assert opened == [served.url]
    assert tab.scene is not None
    name = next(block.nodes[0] for block in tab.scene.picture.blocks)
    node = tab.scene.picture.names[name]
    served.selected(node)
    qtbot.waitUntil(lambda: tab.canvas.selected == tab.scene.item_of(node), timeout=20_000)  # type: ignore[union-attr]
    tab.netron.button.click()
    assert not tab.netron.button.isChecked()
    with pytest.raises(OSError):
        ask(served, "/")
    tab.netron.button.click()
    again = tab.netron.server
    assert again is not None
    assert ask(again, f"/{again.token}/")[0] == 200
    sample_window.close()
    with pytest.raises(OSError):
        ask(again, f"/{again.token}/")
    assert not heard.errors
