"""A benchmark live in the terminal: the running median of each model, on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.live import Live
from rich.table import Table

from studio.cli.app import App
from studio.jobs.protocol import JobEvent, Progress, Samples

#: redraws a second: seldom, since drawing takes time from what is measured
REDRAW_HZ = 2.0


class LiveBench:
    """Shows samples as they come; on a terminal a table that is redrawn, else a line every few seconds."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._samples: dict[str, list[int]] = {}
        self._label = ""
        self._last = time.monotonic()
        self._live = Live(console=app.console, auto_refresh=False, transient=True) if app.console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: JobEvent) -> None:
        """Take a job event."""
        if isinstance(event, Samples):
            self._samples.setdefault(event.series, []).extend(event.values)
        elif isinstance(event, Progress):
            self._label = event.label
        pause = 1 / REDRAW_HZ if self._live is not None else 3.0
        if time.monotonic() - self._last >= pause:
            self._last = time.monotonic()
            self._draw()

    def _draw(self) -> None:
        rows = [(name, _median(values), len(values)) for name, values in self._samples.items() if values]
        if self._live is None:
            text = "; ".join(f"{name} {median:.3f} ms ({number})" for name, median, number in rows)
            self._app.console.print(f"  {text or self._label}", style="dim", markup=False)
            return
        table = Table(box=None, pad_edge=False, caption=self._label)
        for title in ("measuring", "median so far", "samples"):
            table.add_column(title)
        for name, median, number in rows:
            table.add_row(name, f"{median:.3f} ms", str(number))
        self._live.update(table, refresh=True)


def _median(values: list[int]) -> float:
    """Give the median of the latest samples in milliseconds; all of them would take too long to sort."""
    latest = sorted(values[-1000:])
    return latest[len(latest) // 2] / 1e6
