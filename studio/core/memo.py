"""What an interrupted pass has found so far, kept so that it goes on from there when it is repeated."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.atomic import clean_temporaries, explained, write_atomic
from studio.core.errors import StoreError
from studio.core.frozen import digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: bytes of all entries together, and seconds after which one that nobody used goes
MOST_BYTES = 512 << 20
MOST_SECONDS = 14 * 86_400.0


class Memo:
    """Arrays in one folder by what they were made of; they survive cancelling, crashes and restarts.

    It holds what can be made again, at the cost of time: an entry that is damaged, or gone, is none.
    Several processes may use it at once; the last one to save wins.

    Parameters
    ----------
    folder
        Where the entries lie; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(kind: str, *parts: Any) -> str:
        """Name an entry by everything that its content depends on.

        Parameters
        ----------
        kind
            What is kept, such as ``"ranges"``; raise a number in it whenever its shape or meaning changes.
        parts
            Plain JSON-able values: the model's sha256, the data's digest, parameters.
        """
        return digest([kind, *parts])

    def load(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Give the arrays of an entry; None when there is none that can be read."""
        import numpy as np

        path = self._path(key)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                found = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None
        with suppress(OSError):
            os.utime(path)
        return found

    def save(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> bool:
        """Keep arrays under a key, in place of what was there; says whether it could.

        A full disk is no reason to stop the work that is to be kept.
        """
        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        path = self._path(key)
        try:
            with explained(path):
                self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, buffer.getvalue())
        except StoreError:
            return False
        return True

    def forget(self, key: str) -> None:
        """Remove an entry, if it is there."""
        with suppress(OSError):
            self._path(key).unlink()

    def tidy(self, most_bytes: int = MOST_BYTES, most_seconds: float = MOST_SECONDS) -> int:
        """Remove entries used longest ago until the others fit, and those that are too old; gives the bytes freed."""
        freed, room, oldest = 0, most_bytes, time.time() - most_seconds
        for used, size, path in sorted(self._entries(), reverse=True):
            room -= size
            if room < 0 or used < oldest:
                with suppress(OSError):
                    path.unlink()
                    freed += size
        clean_temporaries(self.folder, MOST_SECONDS if most_bytes else 0.0)
        return freed

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.folder.glob("*.npz"):
            with suppress(OSError):
                found = path.stat()
                yield found.st_mtime, found.st_size, path
