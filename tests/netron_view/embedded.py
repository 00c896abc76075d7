"""Netron embedded: it loads, asks for nothing outside, and selects both ways.

Run by hand where the extra ``netron-view`` is installed: ``python -m tests.netron_view.embedded``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from studio.core.artifact import open_artifact
from studio.locations import assets
from studio.ui.netron.embedding import make_view, prepare
from studio.ui.netron.server import NetronServer

NODE, OTHER = "stage1/block1/conv1", "stage1/block1/add"


def main() -> None:
    """Try the view on the sample; raises where something is not as it should be."""
    prepare()
    app = QApplication([])
    told: list[str] = []
    server = NetronServer(open_artifact(assets() / "samples" / "mnist-resnet.onnx"), "sample", told.append)
    view: Any = make_view(server.url)
    view.resize(1000, 700)
    view.show()
    given: dict[str, Any] = {}

    def script(code: str) -> Any:
        given.clear()
        view.page().runJavaScript(code, 0, lambda value: given.setdefault("value", value))
        wait(lambda: "value" in given, 10)
        return given["value"]

    wait(lambda: script("document.documentElement.dataset.burnish") == "ready", 60)
    server.select(NODE)
    wait(lambda: script("[...window.__view__.target.selection].map(e => e.value.name).join()") == NODE, 10)
    script(
        "for (const value of window.__view__.target._table.keys())"
        f" if (value.type && value.name === '{OTHER}') window.__view__.target.activate(value, 'target');"
    )
    wait(lambda: OTHER in told, 10)
    outside = f"performance.getEntriesByType('resource').filter(e => !e.name.startsWith('{server.url}')).length"
    assert script(outside) == 0
    assert "message" not in script("document.body.className")
    view.deleteLater()
    server.close()
    QTest.qWait(500)
    app.processEvents()
    print("Netron is embedded, offline, and selects both ways.")


def wait(ready: Callable[[], bool], seconds: float) -> None:
    """Let events run until something is so."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "this took too long"
        QTest.qWait(100)


if __name__ == "__main__":
    main()
