"""A lock that a crash releases: the system holds it with an open file, not with the file's existence."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

#: What the system answers when another one holds the lock.
_HELD = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})


class FileLock:
    """An exclusive lock on a file; held until `release` or the end of the process, however it ends.

    Parameters
    ----------
    path
        The lock file. It stays when the lock is released: removing it would let two processes lock
        two different files of one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Take the lock without waiting.

        Returns
        -------
        bool
            False when another process, or another object of this one, holds it.

        Raises
        ------
        OSError
            When the file cannot be made, or its file system has no locks.
        """
        if self.held:
            return True
        # Python's descriptors are not inherited by programs it starts, so no worker keeps the lock alive.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _HELD:
                return False
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back; safe to call twice."""
        if self._descriptor is not None:
            # Closing alone is not enough: a program that is just being started shares the file until it runs.
            with suppress(OSError):
                _unlock(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:

    def _lock(descriptor: int) -> None:
        import fcntl

        # Not lockf: its locks vanish as soon as this process closes any other handle of the file.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
