"""Does drawing disturb what is measured? p50 with the window open against p50 from the command line, in turns.

    python -m tests.bench.window_latency [ROUNDS] [SECONDS]

Both measure the bundled sample alone on the first device, one after the other in random order.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from studio.core.project import BASELINE
from studio.jobs.pool import JobPool
from studio.locations import assets, load_registry
from studio.session import Session
from studio.ui.benchmark.live import LivePage
from studio.ui.preferences import Preferences
from studio.ui.theme import apply_theme
from studio.ui.window import MainWindow
from studio.workbench import Workbench

SAMPLE = assets() / "samples" / "mnist-resnet.onnx"


def from_command_line(seconds: float) -> float:
    """Give p50 in milliseconds as ``burnish bench`` prints it."""
    command = [sys.executable, "-m", "studio", "bench", str(SAMPLE), "--seconds", str(seconds), "--json"]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(found.stdout)["models"][0]["latency_ms"]["p50"])


def from_window(window: MainWindow, seconds: float) -> float:
    """Give p50 in milliseconds as measured while the window draws it."""
    session = window.controller.session
    before = len(session.measurements)
    live: LivePage = window.workspace.tabs.open_tab("Benchmark").live  # type: ignore[attr-defined]
    live.seconds.setValue(seconds)
    live.measure([BASELINE])
    wait(lambda: len(session.measurements) > before and not window.busy)
    return statistics.median(session.measurements[-1].samples_ns) / 1e6


def wait(done: object, seconds: float = 300) -> None:
    """Run the event loop until something is so."""
    assert callable(done)
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError
        QTest.qWait(20)


def main(rounds: int, seconds: float) -> None:
    """Measure in turns, and print the ratio of each round and their median."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    tokens = apply_theme(app, "light")
    order, ratios = random.Random(0), []
    with tempfile.TemporaryDirectory() as folder, JobPool() as pool:
        session = Session(Workbench(load_registry(), pool, Path(folder) / "cache"))
        window = MainWindow(session, Preferences(Path(folder) / "studio.ini"), tokens)
        window.resize(1440, 900)
        window.show()
        window.begin([SAMPLE])
        wait(lambda: bool(session.surveys) and not window.busy)
        for number in range(rounds):
            found: dict[str, float] = {}
            for kind in order.sample(("window", "command line"), 2):
                found[kind] = from_window(window, seconds) if kind == "window" else from_command_line(seconds)
            ratios.append(found["window"] / found["command line"])
            print(
                f"round {number + 1}: window {found['window']:.3f} ms, command line {found['command line']:.3f} ms, "
                f"ratio {ratios[-1]:.3f}",
                flush=True,
            )
        window.may_discard = lambda: True  # type: ignore[method-assign]
        window.close()
        session.close()
    print(f"median ratio {statistics.median(ratios):.3f} over {rounds} rounds")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10, float(sys.argv[2]) if len(sys.argv) > 2 else 3.0)
