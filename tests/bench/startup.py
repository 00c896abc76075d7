"""How long until the window can be used, against a window with nothing in it: paired, alternating, in new processes.

    python -m tests.bench.startup [RUNS]

Three moments, from the start of the process: *painted* is the end of the first paint; *turned* is the first turn of the
event loop after it (no input is sent: it does not show that one would be served); *furnished* is when a model can be
opened, and so the one that the goal of twice a bare window is about. A bare window is a `QMainWindow` with a label,
painted in the same way. The ratio is the median of those of the pairs.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
RUNS = 7

#: common to both: say when a moment is reached, as seconds since the process was started
_CLOCK = """
import json, os, sys, time
def since_start():
    ticks = int(open("/proc/self/stat").read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
moments = {}
"""
_BARE = (
    _CLOCK
    + """
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow
app = QApplication([])
window = QMainWindow()
window.resize(1440, 900)
window.setCentralWidget(QLabel("Hello"))
window.show()
def painted():
    window.grab()
    moments["painted"] = since_start()
    QTimer.singleShot(0, turned)
def turned():
    moments["turned"] = moments["furnished"] = since_start()
    print(json.dumps(moments), flush=True)
    app.quit()
QTimer.singleShot(0, painted)
app.exec()
"""
)
_STUDIO = (
    _CLOCK
    + """
sys.argv = ["burnish"]
import studio.__main__
from PySide6.QtCore import QTimer
import studio.ui.windows as windows
built = windows.Windows.build
def build(self):
    window = self.windows[0]
    window.grab()
    moments["painted"] = since_start()
    QTimer.singleShot(0, lambda: turned(self, window))
def turned(self, window):
    moments["turned"] = since_start()
    built(self)
    timer = QTimer(window, interval=2)
    timer.timeout.connect(lambda: furnished(window))
    timer.start()
def furnished(window):
    if window.desk is not None:
        moments["furnished"] = since_start()
        print(json.dumps(moments), flush=True)
        window.close()
windows.Windows.build = build
raise SystemExit(studio.__main__.main())
"""
)


def run(code: str, scratch: Path) -> dict[str, float]:
    """Start one process and give its moments in seconds."""
    env = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        "QT_QPA_PLATFORM": "offscreen",
        "BURNISH_CACHE": str(scratch / "cache"),
        "BURNISH_DATA": str(scratch / "data"),
        "XDG_CONFIG_HOME": str(scratch / "config"),
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    """Measure in pairs, in random order within each, and write medians and ratios."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    times: dict[str, list[dict[str, float]]] = {"bare": [], "studio": []}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(count + 1):
            order = [("bare", _BARE), ("studio", _STUDIO)]
            random.shuffle(order)
            for name, code in order:
                times[name].append(run(code, Path(scratch)))
    for name in times:
        del times[name][0]  # it fills the caches of both
    print(f"{count} pairs, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for moment in ("painted", "turned", "furnished"):
        bare, studio = ([one[moment] for one in times[name]] for name in ("bare", "studio"))
        ratio = statistics.median(mine / theirs for mine, theirs in zip(studio, bare, strict=True))
        print(
            f"{moment:10} bare {statistics.median(bare):.2f} s   studio {statistics.median(studio):.2f} s"
            f"   ratio {ratio:.2f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
