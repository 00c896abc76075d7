"""A project on disk: a folder ``NAME.burnish`` that stays readable whatever interrupts a save."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from studio.core.artifact import Artifact
from studio.core.atomic import TEMPORARY_PREFIX, clean_temporaries, explained, remove, sync_folder, write_atomic
from studio.core.blobs import BlobStore
from studio.core.document import BACKUP_FILE, PROJECT_FILE, Loaded, dump_project, load_project, old_versions
from studio.core.errors import StoreError, UsageError
from studio.core.evaluation import Evaluation
from studio.core.jsonlines import JsonLines
from studio.core.locking import FileLock
from studio.core.measurement import Measurement
from studio.core.migrations import EVALUATION_MIGRATIONS, FACT_SCHEMA, MEASUREMENT_MIGRATIONS
from studio.core.project import Project
from studio.core.stepcache import StepCache

SUFFIX = ".burnish"
LOCK_FILE = "project.lock"
MEASUREMENTS_FILE = "measurements.jsonl"
EVALUATIONS_FILE = "evaluations.jsonl"
BLOBS_FOLDER = "blobs"
STEPS_FOLDER = "cache/steps"

#: What may lie in a folder whose creation was interrupted: it can be completed.
_UNFINISHED = frozenset({LOCK_FILE, BLOBS_FOLDER})

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_LONGEST = 100


class ProjectStore:
    """An open project folder; made by `create` or `open`.

    One process writes; every further one opens the folder read-only until the first is gone.

    Attributes
    ----------
    folder
        The project's folder.
    blobs, steps
        The project's models, and the results of its steps (which share the models' files).
    """

    def __init__(self, folder: Path, lock: FileLock, loaded: Loaded, warnings: tuple[str, ...]) -> None:
        self.folder = folder
        self.blobs = BlobStore(folder / BLOBS_FOLDER)
        self.steps = StepCache(folder / STEPS_FOLDER, self.blobs)
        self._measurements = measurement_log(folder)
        self._evaluations = evaluation_log(folder)
        self._lock = lock
        self._loaded = loaded
        self._warnings = warnings
        self._lost: dict[str, tuple[str, ...]] = {}

    @classmethod
    def create(cls, folder: Path, project: Project, source: Artifact, others: Iterable[Artifact] = ()) -> ProjectStore:
        """Make a project folder with the models of its variants.

        Parameters
        ----------
        folder
            ``.../NAME.burnish``; must not exist, be empty, or be left over from a creation that was
            interrupted. Its parent must exist.
        project
            The first document; its baseline is `source`.
        source
            The model to start from; it is copied.
        others
            The models of the other variants, copied too: the document is written when all are there.

        Raises
        ------
        UsageError
            When the name is not usable or the baseline is another model.
        StoreError
            When the folder is taken or cannot be written; what was made of it is removed again.
        """
        folder = folder.absolute()
        _check_new(folder, project, source)
        existed = folder.is_dir()
        with explained(folder):
            folder.mkdir(exist_ok=True)
        with FileLock(folder / LOCK_FILE) as lock:
            try:
                _acquire_new(folder, lock)
                blobs = BlobStore(folder / BLOBS_FOLDER)
                for artifact in (source, *others):
                    blobs.put(artifact)
                write_atomic(folder / PROJECT_FILE, dump_project(project))
                with explained(folder):
                    sync_folder(folder.parent)
            except BaseException:
                _undo_creation(folder, lock, existed)
                raise
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> ProjectStore:
        """Open a project folder (or the ``project.json`` in it).

        Raises
        ------
        StoreError
            When it is not a project, is of a newer version, or neither the document nor its backup
            can be read.
        """
        folder = (folder.parent if folder.name == PROJECT_FILE else folder).absolute()
        _check_project(folder)
        lock = FileLock(folder / LOCK_FILE)
        warnings = _acquire(lock)
        try:
            if lock.held:
                clean_temporaries(folder)
                StepCache(folder / STEPS_FOLDER, BlobStore(folder / BLOBS_FOLDER)).clean()
                logs = (measurement_log(folder).repair(), evaluation_log(folder).repair())
                warnings = (*warnings, *filter(None, logs))
            loaded = load_project(folder)
            store = cls(folder, lock, loaded, (*warnings, *loaded.warnings))
        except BaseException:
            lock.release()
            raise
        store._warnings = (*store._warnings, *store._missing_models())
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def read_only(self) -> bool:
        """Whether saving and appending are refused: it is open elsewhere, closed, or on a read-only disk."""
        return not self._lock.held

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know: what was lost, recovered or is missing."""
        return (*self._warnings, *(text for texts in self._lost.values() for text in texts))

    def load(self) -> Project:
        """Give the saved document; read anew where another process may have saved since.

        Raises
        ------
        StoreError
            When it can no longer be read.
        """
        if self.read_only:
            self._loaded = load_project(self.folder)
        return self._loaded.project

    def save(self, project: Project) -> None:
        """Make this the saved document; the one before it becomes the backup.

        Raises
        ------
        StoreError
            When it is read-only, a variant's model is not among the blobs, or it cannot be written;
            the saved document is then the one before.
        """
        self._check_writable()
        self._check_models(project)
        content = dump_project(project)
        if content == self._loaded.content and not self._loaded.recovered:
            return
        for path, old in old_versions(self.folder, self._loaded).items():
            write_atomic(path, old)
        write_atomic(self.folder / PROJECT_FILE, content)
        self._loaded = Loaded(project, content)

    def append_measurements(self, measurements: Iterable[Measurement]) -> None:
        """Add facts; undo does not touch them.

        Raises
        ------
        StoreError
            When it is read-only or cannot be written; nothing was added then.
        """
        self._check_writable()
        self._measurements.append(measurements)

    def append_evaluations(self, evaluations: Iterable[Evaluation]) -> None:
        """Add facts; undo does not touch them.

        Raises
        ------
        StoreError
            When it is read-only or cannot be written; nothing was added then.
        """
        self._check_writable()
        self._evaluations.append(evaluations)

    def measurements(self) -> tuple[Measurement, ...]:
        """Read all measurements, oldest first; lines that cannot be read become `warnings`."""
        facts, self._lost[MEASUREMENTS_FILE] = self._measurements.read()
        return facts

    def evaluations(self) -> tuple[Evaluation, ...]:
        """Read all evaluations, oldest first; lines that cannot be read become `warnings`."""
        facts, self._lost[EVALUATIONS_FILE] = self._evaluations.read()
        return facts

    def collect(self, keep: Collection[str] = ()) -> int:
        """Remove the models that no variant, no backup, no cached step and nothing in `keep` refers to.

        Parameters
        ----------
        keep
            sha256 of further models, such as those that undo can bring back (`History.models`).

        Returns
        -------
        int
            Bytes freed.

        Raises
        ------
        StoreError
            When it is read-only or a file cannot be removed.
        """
        self._check_writable()
        return self.blobs.collect(self.models() | self.steps.models() | set(keep))

    def close(self) -> None:
        """Let another process write; safe to call twice."""
        self._lock.release()

    def models(self) -> frozenset[str]:
        """Give the sha256 of every model that the document or its backup refers to."""
        projects = [self._loaded.project]
        with suppress(StoreError):
            projects.append(load_project(self.folder, names=(BACKUP_FILE,)).project)
        return frozenset(variant.model for project in projects for variant in project.variants)

    def _check_writable(self) -> None:
        if self.read_only:
            raise StoreError(
                f"{self.folder.name} is open read-only here.",
                "Close it where it is open for writing and open it again, or work on a copy of the folder.",
            )

    def _check_models(self, project: Project) -> None:
        known = {variant.model for variant in self._loaded.project.variants}
        for variant in project.variants:
            # What was missing before must not keep the rest from being saved.
            if variant.model not in known and not self.blobs.has(variant.model):
                raise StoreError(
                    f"The model of the variant {variant.name!r} is not in the project.", "Run its step again."
                )

    def _missing_models(self) -> tuple[str, ...]:
        return tuple(
            f"The model of the variant {variant.name!r} is missing or damaged; run its step again."
            for variant in self._loaded.project.variants
            if not self.blobs.has(variant.model)
        )


def check_project_name(name: str) -> None:
    """Refuse names that a folder cannot have on one of the systems that a project may travel to.

    Raises
    ------
    UsageError
        When the name is empty, too long, reserved, or has a character that some system forbids.
    """
    bad = _FORBIDDEN.search(name)
    if bad:
        raise UsageError(f"A project's name cannot have {bad.group()!r} in it.", "Use letters, digits, - and _.")
    if not name.strip() or name != name.strip(" .") or len(name.encode()) > _LONGEST or _RESERVED.fullmatch(name):
        raise UsageError(
            f"A project cannot be named {name!r}.",
            f"Use a name of 1 to {_LONGEST} bytes that no system reserves, without blanks or dots at its ends.",
        )


def project_folder(parent: Path, name: str) -> Path:
    """Give the folder of a project of this name.

    Raises
    ------
    UsageError
        When the name is not usable.
    """
    check_project_name(name)
    return parent / f"{name}{SUFFIX}"


def measurement_log(folder: Path) -> JsonLines[Measurement]:
    """Give the file of measurements in a folder."""
    return JsonLines(folder / MEASUREMENTS_FILE, Measurement, FACT_SCHEMA, MEASUREMENT_MIGRATIONS)


def evaluation_log(folder: Path) -> JsonLines[Evaluation]:
    """Give the file of evaluations in a folder."""
    return JsonLines(folder / EVALUATIONS_FILE, Evaluation, FACT_SCHEMA, EVALUATION_MIGRATIONS)


def _check_new(folder: Path, project: Project, source: Artifact) -> None:
    if folder.suffix != SUFFIX:
        raise UsageError(f"{folder.name} is not a project's name.", f"Let it end with {SUFFIX}.")
    check_project_name(folder.stem)
    if project.baseline.model != source.sha256:
        raise UsageError("The project's baseline is another model than its source.", "Open the source model again.")
    if folder.exists():
        _check_unfinished(folder)


def _check_unfinished(folder: Path) -> None:
    if not _is_unfinished(folder):
        raise StoreError(f"{folder} is already there.", "Choose another name, or open it.")


def _is_unfinished(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with explained(folder, "read"):
        names = {path.name for path in folder.iterdir() if not path.name.startswith(TEMPORARY_PREFIX)}
    return names <= _UNFINISHED


def _acquire_new(folder: Path, lock: FileLock) -> None:
    with explained(folder):
        held = lock.acquire()
    if not held:
        raise StoreError(f"{folder} is being written by another process.", "Wait, or choose another.")
    # Another process may have finished it between the first look and the lock.
    try:
        _check_unfinished(folder)
    except StoreError:
        lock.release()
        raise


def _undo_creation(folder: Path, lock: FileLock, existed: bool) -> None:
    """Take back what a failed creation made, but never what another process is making."""
    with suppress(OSError):
        if lock.held:
            for name in (PROJECT_FILE, BLOBS_FOLDER):
                remove(folder / name)
            lock.release()
            remove(lock.path)
        if not existed:
            folder.rmdir()


def _check_project(folder: Path) -> None:
    if not folder.is_dir():
        raise StoreError(f"There is no project folder {folder}.", "Check the path.")
    if not any((folder / name).is_file() for name in (PROJECT_FILE, BACKUP_FILE)):
        raise StoreError(
            f"{folder} is not a Burnish project: it has no {PROJECT_FILE}.", f"Give a folder named NAME{SUFFIX}."
        )


def _acquire(lock: FileLock) -> tuple[str, ...]:
    try:
        if lock.acquire():
            return ()
    except OSError as error:
        return (f"The project is open read-only: its folder cannot be written ({error.strerror}).",)
    return ("The project is open read-only: it is open for writing in another window or process.",)
