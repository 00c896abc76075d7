"""Work that a crash must not cost: each session keeps its document in a folder that vanishes when it ends well."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from studio.core.artifact import Artifact
from studio.core.atomic import explained, write_atomic
from studio.core.errors import StoreError
from studio.core.evaluation import Evaluation
from studio.core.frozen import Frozen
from studio.core.locking import FileLock
from studio.core.measurement import Measurement
from studio.core.project import Project
from studio.core.store import LOCK_FILE, evaluation_log, measurement_log

DOCUMENT_FILE = "document.json"


class Kept(Frozen):
    """A document and where its models are.

    Attributes
    ----------
    at
        When it was kept, ISO 8601.
    folder
        The project's own folder, which has everything; None while the project is unsaved.
    models
        The models of an unsaved project: the user's own file and what lies in the cache.
    """

    schema_version: int = 1
    at: str
    folder: Path | None = None
    project: Project
    models: tuple[Artifact, ...] = ()


@dataclass(frozen=True)
class Left:
    """What a session left behind that ended unexpectedly."""

    path: Path
    kept: Kept

    def measurements(self) -> tuple[Measurement, ...]:
        """Read its measurements."""
        return measurement_log(self.path).read()[0]

    def evaluations(self) -> tuple[Evaluation, ...]:
        """Read its evaluations."""
        return evaluation_log(self.path).read()[0]

    def discard(self) -> None:
        """Remove it; nothing happens when it is gone or cannot be removed."""
        shutil.rmtree(self.path, ignore_errors=True)


class Recovery:
    """One session's folder; its lock tells the living from the dead.

    Parameters
    ----------
    root
        Where all sessions keep theirs; made when something is first kept.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / uuid.uuid4().hex
        self._lock: FileLock | None = None
        self._facts: tuple[int, int] = (0, 0)
        self._document = ("", "")

    def keep(self, kept: Kept, measurements: Sequence[Measurement], evaluations: Sequence[Evaluation]) -> None:
        """Write down a document; of measurements and evaluations only what is new.

        Raises
        ------
        StoreError
            When it cannot be written.
        """
        document = (kept.project.created_at, kept.project.source_path)
        if document != self._document:
            self.discard()
            self._document = document
        if self._lock is None:
            with explained(self.path):
                self.path.mkdir(parents=True)
                lock = FileLock(self.path / LOCK_FILE)
                lock.acquire()
            self._lock = lock
        told, judged = self._facts
        if kept.folder is None and measurements[told:]:
            measurement_log(self.path).append(measurements[told:])
        if kept.folder is None and evaluations[judged:]:
            evaluation_log(self.path).append(evaluations[judged:])
        self._facts = (len(measurements), len(evaluations))
        write_atomic(self.path / DOCUMENT_FILE, kept.model_dump_json() + "\n")

    def discard(self) -> None:
        """Forget it: the session ended well, or another document was opened."""
        if self._lock is not None:
            # Removed while it is locked: nobody else may take it for the remains of a crash.
            shutil.rmtree(self.path, ignore_errors=True)
            self._lock.release()
            self._lock = None
            shutil.rmtree(self.path, ignore_errors=True)
        self._facts = (0, 0)
        self._document = ("", "")


def left_behind(root: Path) -> tuple[Left, ...]:
    """List what crashed sessions left, the last first; what cannot be read is not listed, nor are the living."""
    found = []
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        with suppress(OSError, ValidationError, StoreError):
            if _is_dead(path):
                found.append(Left(path, Kept.model_validate_json((path / DOCUMENT_FILE).read_bytes())))
    return tuple(sorted(found, key=lambda left: left.kept.at, reverse=True))


def _is_dead(path: Path) -> bool:
    with FileLock(path / LOCK_FILE) as lock:
        return lock.acquire()
