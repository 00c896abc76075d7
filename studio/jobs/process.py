"""The parent's side of one worker: the child process and the three threads that talk to it."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Protocol

import psutil

from studio.jobs.group import ProcessGroup
from studio.jobs.output import OutputReader
from studio.jobs.protocol import Finished, Message, decode

#: seconds to wait for the rest of a job's output, when something holds it back
_SETTLE = 1.0


@dataclass(frozen=True)
class Exit:
    """How a worker ended: `subprocess.Popen.returncode`, and the last lines that it printed."""

    returncode: int
    tail: str


class Owner(Protocol):
    """Who is told what a worker says. Called on the worker's threads; must not block for long."""

    def received(self, worker: WorkerProcess, message: Message) -> None:
        """Take a message."""

    def printed(self, worker: WorkerProcess, text: str) -> None:
        """Take a line that the process or a library printed; all of a job's lines come before its `Finished`."""

    def exited(self, worker: WorkerProcess, end: Exit) -> None:
        """Learn that the process is gone, with everything that it started; nothing follows."""


class WorkerProcess:
    """A child process that is up, or about to be.

    Parameters
    ----------
    owner
        Who is told what it says.

    Raises
    ------
    OSError
        The process could not be started.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._group = ProcessGroup()
        self.pid = self._group.pid
        self._stats: psutil.Process | None = None
        stdin, stdout, stderr = self._group.pipes
        self._output = OutputReader(stderr, lambda text: owner.printed(self, text))
        self._threads = [
            threading.Thread(target=self._write, args=(stdin,), name=f"to {self.pid}", daemon=True),
            threading.Thread(target=self._read, args=(stdout,), name=f"from {self.pid}", daemon=True),
        ]

    def start(self) -> None:
        """Begin to listen and to talk."""
        self._output.start()
        for thread in self._threads:
            thread.start()

    def send(self, line: bytes) -> None:
        """Send an encoded message; returns at once."""
        self._outbox.put(line)

    def retire(self) -> None:
        """Close the pipe: the worker ends by itself."""
        self._outbox.put(None)

    def terminate(self) -> None:
        """Ask the system to end it (SIGTERM)."""
        self._group.terminate()

    def kill(self) -> None:
        """End it, and what it started."""
        self._group.kill()

    def kill_if_dead(self) -> None:
        """Notice that it ended although a descendant holds its pipe open."""
        self._group.kill_if_dead()

    def memory(self) -> int:
        """Resident memory in bytes; 0 when the process is gone."""
        with suppress(psutil.Error):
            self._stats = self._stats or psutil.Process(self.pid)
            return int(self._stats.memory_info().rss)
        return 0

    def join(self) -> None:
        """Wait until its threads have ended; the process must have been retired or killed."""
        for thread in self._threads:
            thread.join()

    def _write(self, pipe: IO[bytes]) -> None:
        # A large payload waits here for a child that still starts, and nobody waits with it.
        with suppress(OSError):  # the child is gone: the reader notices
            while (line := self._outbox.get()) is not None:
                pipe.write(line)
                pipe.flush()
        with suppress(OSError):
            pipe.close()

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                try:
                    message = decode(line)
                except ValueError:
                    # The last line of a process that died while writing it.
                    self._owner.printed(self, line[:200].decode("ascii", "replace"))
                    continue
                if isinstance(message, Finished):
                    self._output.settle(message.job, _SETTLE)
                self._owner.received(self, message)
        code = self._group.reap()
        self._outbox.put(None)
        self._output.join(_SETTLE)
        self._owner.exited(self, Exit(code, self._output.tail()))
