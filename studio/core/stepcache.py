"""Results of steps by what they were made of, so that a repeated step is instant."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from studio.core.atomic import clean_temporaries, explained, write_atomic
from studio.core.blobs import MODEL_FILE, BlobStore
from studio.core.errors import StoreError
from studio.core.frozen import Frozen, digest
from studio.core.runner import StepRecord

#: Seconds for which a result stays in the cache after its last use.
GRACE = 3600.0

#: Raised when a record's shape changes; records of other versions are misses.
RECORD_SCHEMA = 2


class _Key(Frozen):
    source: str
    step: str
    data: str


class _Entry(Frozen):
    schema_version: int
    key: _Key
    record: StepRecord


class StepCache:
    """Records in one folder, their models in a blob store; several processes may use both at once.

    Results are named by the source model's sha256, `Step.digest`, and a text that says what else they
    depend on (the calibration data's digest), empty for nothing else.

    Parameters
    ----------
    folder
        Where the records lie; need not exist yet.
    blobs
        Where their models lie. A project gives its own, so that a variant's model is not stored twice.
    """

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self.folder = folder
        self.blobs = blobs

    def get(self, source: str, step: str, data: str = "") -> StepRecord | None:
        """Find a result, with its model in the blob store; None when there is none, or it is damaged."""
        key = _Key(source=source, step=step, data=data)
        path = self._path(key)
        entry = _read(path)
        if entry is None or entry.key != key:
            return None
        try:
            artifact = self.blobs.get(entry.record.artifact.sha256)
        except StoreError:
            return None
        with suppress(OSError):
            os.utime(path)
        return entry.record.model_copy(update={"artifact": artifact})

    def put(self, source: str, step: str, data: str, record: StepRecord, *, move: bool = False) -> StepRecord:
        """Keep a result.

        Parameters
        ----------
        record
            The result; its model is stored unless it already is.
        move
            As for `BlobStore.put`.

        Returns
        -------
        StepRecord
            The same with the stored model.

        Raises
        ------
        StoreError
            When it cannot be written.
        """
        key = _Key(source=source, step=step, data=data)
        path = self._path(key)
        with explained(path):
            self.folder.mkdir(parents=True, exist_ok=True)
        stored = record.model_copy(update={"artifact": self.blobs.put(record.artifact, move=move)})
        # Without its folder: the cache may be moved, and the store knows where the model is.
        portable = record.artifact.model_copy(update={"path": Path(MODEL_FILE)})
        entry = _Entry(schema_version=RECORD_SCHEMA, key=key, record=record.model_copy(update={"artifact": portable}))
        write_atomic(path, entry.model_dump_json(by_alias=True))
        return stored

    def making(self, model: str) -> StepRecord | None:
        """Find a record of the step that made a model, by the model's sha256; its path is not filled in."""
        entries = (_read(path) for path in self._records())
        return next((found.record for found in entries if found and found.record.artifact.sha256 == model), None)

    def models(self) -> frozenset[str]:
        """Give the sha256 of every model that a record names."""
        entries = (_read(path) for path in self._records())
        return frozenset(entry.record.artifact.sha256 for entry in entries if entry is not None)

    def prune(self, max_bytes: int, keep: Collection[str] = (), *, grace: float = GRACE) -> int:
        """Forget the results used longest ago until the models of the others take at most `max_bytes`.

        Parameters
        ----------
        max_bytes
            Bytes of models to keep; a model that several records name counts once.
        keep
            sha256 of models that are used elsewhere: their files stay, and count nothing.
        grace
            Seconds for which a result stays after its last use, whatever the limit: another process
            may be reading it.

        Returns
        -------
        int
            Bytes freed.

        Raises
        ------
        StoreError
            When a file cannot be removed.
        """
        kept, forgotten, room = set(keep), set[str](), max_bytes
        young = time.time_ns() - int(grace * 1e9)
        for path in sorted(self._records(), key=_last_use, reverse=True):
            model = _model(path)
            size = self._cost(model, kept)
            used = max(_last_use(path), self.blobs.last_use(model) if model else 0)
            if size is not None and (size <= room or used > young):
                room -= size
                kept.add(model)
                continue
            if size is not None:
                # Older ones go as well: the order of use decides, not which size happens to fit.
                room = -1
            forgotten.add(model)
            with explained(path, "removed"):
                path.unlink(missing_ok=True)
        return sum(self.blobs.discard(model) for model in sorted(forgotten - kept - {""}))

    def clean(self, older_than: float = 0.0) -> int:
        """Remove what a crash left half done; gives how many. `older_than` as for `clean_temporaries`."""
        return clean_temporaries(self.folder, older_than) + self.blobs.clean(older_than)

    def _path(self, key: _Key) -> Path:
        return self.folder / f"{digest(key.model_dump(mode='json'))}.json"

    def _records(self) -> Iterator[Path]:
        yield from (path for path in self.folder.glob("*.json") if not path.name.startswith("."))

    def _cost(self, model: str, kept: Collection[str]) -> int | None:
        """Bytes that keeping a record of this model costs; None when the record is of no use."""
        try:
            found = self.blobs.get(model)
        except StoreError:
            return None
        return 0 if model in kept else found.bytes


def _model(path: Path) -> str:
    """Digest of the model that a record names; empty when it cannot be read."""
    entry = _read(path)
    return entry.record.artifact.sha256 if entry else ""


def _read(path: Path) -> _Entry | None:
    try:
        entry = _Entry.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return entry if entry.schema_version == RECORD_SCHEMA else None


def _last_use(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
