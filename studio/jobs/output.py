"""What a worker prints: every line to its job's log, the last lines kept for a crash report."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO

#: in front of a job's id on a line of its own: all that the job printed stands before it
END_OF_OUTPUT = "\x1eend "

_TAIL_LINES = 60
_LONGEST_LINE = 16_384


class OutputReader:
    """Reads a worker's standard error, which is its standard output too, on a thread of its own.

    Parameters
    ----------
    pipe
        The reading end; closed when it ends.
    tell
        Called with each line.
    """

    def __init__(self, pipe: IO[bytes], tell: Callable[[str], None]) -> None:
        self._pipe = pipe
        self._tell = tell
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._count = 0
        self._ends: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="worker output", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def settle(self, job: str, patience: float) -> None:
        """Wait until all that the job printed was told; no longer than `patience` seconds without a line."""
        seen = -1
        while seen != self._count:
            seen = self._count
            # The mark may be lost (somebody made the pipe non-blocking, and it was full): the job must end anyway.
            with suppress(queue.Empty):
                while self._ends.get(timeout=patience) != job:
                    pass
                return

    def tail(self) -> str:
        """Return the last lines, up to 60."""
        return "\n".join(self._tail)

    def join(self, timeout: float) -> None:
        """Wait for the end of the output; a descendant that left the process group may hold it open."""
        self._thread.join(timeout)

    def _read(self) -> None:
        with self._pipe as pipe:
            while line := pipe.readline(_LONGEST_LINE):
                self._count += 1
                text, mark, job = line.decode("utf-8", "replace").rstrip("\r\n").partition(END_OF_OUTPUT)
                # Of a progress bar that redraws itself, the last picture.
                text = text.rpartition("\r")[2]
                if text:
                    self._tail.append(text)
                    self._tell(text)
                if mark:
                    self._ends.put(job)
