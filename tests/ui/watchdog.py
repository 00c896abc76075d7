"""A watchdog over the GUI thread: how long it was not there for a timer, and what it did meanwhile."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from PySide6.QtCore import QObject, QTimer

from studio.core.runqueue import waited_ns

_TICK_MS = 5
#: seconds of absence from which the sampler looks what the GUI thread does, and how often it looks
_LATE, _LOOK = 0.04, 0.01


@dataclass
class Watchdog:
    """Records how long the GUI thread was not there for a timer that is due every 5 ms.

    Attributes
    ----------
    longest
        The longest absence in seconds, less what the thread waited for a processor that other programs had.
    with_others
        The longest absence, that wait included.
    seen
        Each absence over 40 ms with the last stack that was seen in it, innermost frames last.
    """

    parent: QObject
    longest: float = 0.0
    with_others: float = 0.0
    seen: list[tuple[float, str]] = field(default_factory=list)
    _last: float = field(default_factory=time.perf_counter)
    _waited: int = field(default_factory=lambda: waited_ns() or 0)
    _stack: str = ""
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._gui = threading.get_ident()
        self._timer = QTimer(self.parent, interval=_TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Watch no more."""
        self._timer.stop()
        self._over.set()
        self._sampler.join()

    def report(self) -> str:
        """Write the longest stall, and what the GUI thread did in the three longest."""
        worst = sorted(self.seen, reverse=True)[:3]
        lines = [f"longest stall of the GUI thread: {1000 * self.longest:.0f} ms"]
        lines[0] += f" ({1000 * self.with_others:.0f} ms with what other programs took of the processor)"
        return "\n".join([*lines, *(f"{1000 * took:.0f} ms in\n{stack}" for took, stack in worst)])

    def _tick(self) -> None:
        now, waited = time.perf_counter(), waited_ns() or 0
        absent = now - self._last
        own = absent - (waited - self._waited) / 1e9
        self.with_others = max(self.with_others, absent)
        self.longest = max(self.longest, own)
        if own > _LATE:
            self.seen.append((own, self._stack))
        self._stack = ""
        self._last, self._waited = now, waited

    def _sample(self) -> None:
        while not self._over.wait(_LOOK):
            if time.perf_counter() - self._last > _LATE / 2:
                self._stack = self._stacks()

    def _stacks(self) -> str:
        """Write where the GUI thread is, and where the others are that may keep the interpreter from it."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        frames = sys._current_frames()
        texts = ["".join(traceback.format_stack(frames[self._gui])[-6:])]
        for ident, frame in frames.items():
            name = names.get(ident, "")
            waiting = frame.f_code.co_filename.endswith(("threading.py", "queue.py", "selectors.py", "watchdog.py"))
            if ident != self._gui and not waiting:
                texts.append(f" beside {name}:\n{''.join(traceback.format_stack(frame)[-3:])}")
        return "".join(texts)
