"""The user's cache: results of steps with their models, shared by all processes, and bounded."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from studio.core.atomic import remove
from studio.core.blobs import BlobStore, folder_bytes
from studio.core.leases import Leases
from studio.core.memo import MOST_BYTES, Memo
from studio.core.stepcache import GRACE, StepCache

#: Seconds after which what a killed process was writing is nobody's any more.
ABANDONED = 86_400.0
#: Outputs that are kept may take this part of the models' limit.
OUTPUTS_SHARE = 4


class ResultCache:
    """A folder of models, of records of the steps that made them, and of work in progress.

    Attributes
    ----------
    root
        The folder; need not exist yet.
    blobs, steps
        The models, and the results of steps.
    leases
        Models that a living process needs: they stay whatever the limit.
    memo
        What interrupted passes have found so far.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = BlobStore(root / "blobs")
        self.steps = StepCache(root / "cache" / "steps", self.blobs)
        self.leases = Leases(root / "cache" / "leases")
        self.memo = Memo(root / "cache" / "memo")

    @property
    def scratch(self) -> Path:
        """Where work in progress lies, on the blobs' file system."""
        return self.root / "tmp"

    @property
    def outputs(self) -> Path:
        """Where models' outputs on datasets are kept, one folder for each."""
        return self.root / "cache" / "outputs"

    @property
    def bytes(self) -> int:
        """Bytes of the models in it."""
        sizes = 0
        for sha256 in self.blobs.digests():
            with suppress(OSError):
                sizes += folder_bytes(self.blobs.root / "sha256" / sha256[:2] / sha256)
        return sizes

    @property
    def results(self) -> int:
        """How many results of steps it holds."""
        return len(list(self.steps.folder.glob("*.json")))

    def tidy(self, limit: int, *, grace: float = GRACE) -> int:
        """Forget the results used longest ago until the models take at most `limit` bytes.

        What a living process needs stays, and what was used in the last `grace` seconds. Models without
        a record, which a crash leaves, go as well, and abandoned work in progress.

        Returns
        -------
        int
            Bytes of models freed.

        Raises
        ------
        StoreError
            When a file cannot be removed.
        """
        held = self.leases.held()
        freed = self.steps.prune(limit, held, grace=grace)
        known = self.steps.models() | held
        young = time.time_ns() - int(grace * 1e9)
        for sha256 in self.blobs.digests():
            if sha256 not in known and self.blobs.last_use(sha256) <= young:
                freed += self.blobs.discard(sha256)
        self.steps.clean(ABANDONED)
        self.memo.tidy(min(limit, MOST_BYTES))
        self._clean_scratch()
        return freed + self._tidy_outputs(limit // OUTPUTS_SHARE, grace)

    def clear(self) -> int:
        """Remove every result that no living process needs; gives the bytes freed.

        Raises
        ------
        StoreError
            When a file cannot be removed.
        """
        return self.tidy(0, grace=0.0)

    def _tidy_outputs(self, limit: int, grace: float) -> int:
        """Remove the outputs used longest ago until they take at most `limit` bytes; gives the bytes freed."""
        folders = {path: path.stat().st_mtime for path in self.outputs.glob("*/index.json")}
        room, freed = limit, 0
        for index in sorted(folders, key=lambda path: -folders[path]):
            size = folder_bytes(index.parent)
            room -= size
            if room < 0 and time.time() - folders[index] > grace:
                remove(index.parent)
                freed += size
        return freed

    def _clean_scratch(self) -> None:
        with suppress(OSError):
            for folder in self.scratch.iterdir():
                if time.time() - folder.stat().st_mtime > ABANDONED:
                    remove(folder)
