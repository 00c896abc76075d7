"""What a worker prints: every line to its job's log, the last lines kept for a crash report."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
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
        self._ends: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="worker output", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def settle(self, job: str, timeout: float) -> None:
        """Wait until all that the job printed was told, `timeout` seconds at most."""
        try:
            while self._ends.get(timeout=timeout) != job:
                pass
        except queue.Empty:
            # The task closed or redirected fd 2: what it printed may come late, its end must not.
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
                text, mark, job = line.decode("utf-8", "replace").rstrip("\r\n").partition(END_OF_OUTPUT)
                # Of a progress bar that redraws itself, the last picture.
                text = text.rpartition("\r")[2]
                if text:
                    self._tail.append(text)
                    self._tell(text)
                if mark:
                    self._ends.put(job)
