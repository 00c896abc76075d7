"""Which models of a shared cache living processes rely on, so that no other process removes them."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

from studio.core.locking import FileLock

_LIST, _LOCK = ".txt", ".lock"


class Leases:
    """The models that this process needs, written down for the others.

    Each process has a list of digests and a lock beside it, which the system releases when the process
    ends, however it ends: a list whose lock is free is of no more use.

    Parameters
    ----------
    folder
        Where the lists lie; made when the first model is held.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = folder / f"{uuid.uuid4().hex}{_LIST}"
        self._lock: FileLock | None = None
        self._held: set[str] = set()

    def hold(self, sha256: str) -> None:
        """Keep a model from being removed until `release`, or the end of this process.

        Where nothing can be written it does nothing: nobody can remove anything there either.
        """
        if sha256 in self._held:
            return
        with suppress(OSError):
            if self._lock is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = FileLock(self._own.with_suffix(_LOCK))
                lock.acquire()
                self._lock = lock
            with self._own.open("a", encoding="ascii") as stream:
                stream.write(f"{sha256}\n")
            self._held.add(sha256)

    def held(self) -> frozenset[str]:
        """Give the digests that living processes hold, this one included; lists of the dead are removed."""
        found: set[str] = set()
        for path in sorted(self.folder.glob(f"*{_LIST}")):
            with suppress(OSError):
                lock = FileLock(path.with_suffix(_LOCK))
                if lock.acquire():
                    path.unlink(missing_ok=True)
                    lock.release()
                    lock.path.unlink(missing_ok=True)
                else:
                    found.update(path.read_text(encoding="ascii").split())
        return frozenset(found)

    def release(self) -> None:
        """Need nothing any more; safe to call twice."""
        lock, self._lock = self._lock, None
        self._held.clear()
        if lock is not None:
            with suppress(OSError):
                self._own.unlink(missing_ok=True)
            lock.release()
            with suppress(OSError):
                lock.path.unlink(missing_ok=True)
