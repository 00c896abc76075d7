"""A worker and whatever it starts, as one thing to end: a process group, or a job object on Windows."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import IO

from studio.jobs import launch

if sys.platform == "win32":
    from studio.jobs.windows import JobObject
else:
    import signal

#: seconds that a process may take to end once its pipe is closed
_LINGER = 1.0


class ProcessGroup:
    """Starts the worker; ends it and its descendants.

    The methods may be called from any thread, at any time: nothing is signalled after the worker was reaped,
    because its id may be another process's by then.

    Raises
    ------
    OSError
        The process could not be started.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = False
        reading, self._lifeline = os.pipe() if sys.platform != "win32" else (-1, -1)
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                launch.worker_command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=launch.environment(reading),
                **launch.isolation(reading),
            )
        except BaseException:
            self._close_lifeline()
            raise
        finally:
            if reading >= 0:
                os.close(reading)
        if sys.platform == "win32":
            self._job = _job_object(self._process)

    @property
    def pipes(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        """The worker's standard input, output and error; whoever uses one closes it."""
        process = self._process
        assert process.stdin
        assert process.stdout
        assert process.stderr
        return process.stdin, process.stdout, process.stderr

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def terminate(self) -> None:
        """Ask all of it to end, in a way that a process can answer."""
        with self._lock:
            if not self._over:
                self._signal(hard=False)

    def kill(self) -> None:
        """End all of it."""
        with self._lock:
            if not self._over:
                self._signal(hard=True)

    def kill_if_dead(self) -> None:
        """End the rest when the worker itself has ended: a descendant may hold its pipe open."""
        with self._lock:
            if not self._over and self._ended():
                self._signal(hard=True)

    def reap(self) -> int:
        """Wait for the end of the worker, whose pipe is closed, and end what it left behind.

        Returns
        -------
        int
            As `subprocess.Popen.returncode`.
        """
        deadline = time.monotonic() + _LINGER
        pause = 0.0005
        while not self._ended() and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        with self._lock:
            self._signal(hard=True)
            self._over = True
        code = self._process.wait()
        self._close_lifeline()
        if sys.platform == "win32" and self._job:
            self._job.close()
        return code

    def _close_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)

    def _ended(self) -> bool:
        if sys.platform == "linux":
            # WNOWAIT keeps the zombie, and with it the group's number: it cannot be taken by anyone else yet.
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        else:
            ended = self._process.poll() is not None
        return ended

    def _signal(self, hard: bool) -> None:
        if sys.platform == "win32":
            if self._job:
                self._job.kill()
            else:
                self._process.kill()
        else:
            # macOS answers EPERM for a group of zombies.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL if hard else signal.SIGTERM)


if sys.platform == "win32":

    def _job_object(process: subprocess.Popen[bytes]) -> JobObject | None:
        # Without one (an old Windows inside somebody else's job) the worker alone can be ended.
        with suppress(OSError):
            return JobObject(int(process._handle))  # type: ignore[attr-defined]  # noqa: SLF001
        return None
