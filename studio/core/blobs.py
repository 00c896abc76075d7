"""The models of a project or cache on disk, each under its own digest, never modified in place."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from studio.core.artifact import CHUNK, Artifact, ExternalFile, combined_sha256, rehash
from studio.core.atomic import (
    clean_temporaries,
    explained,
    remove,
    require_space,
    sync,
    sync_file,
    sync_folder,
    temporary_beside,
    write_all,
    write_new,
)
from studio.core.errors import StoreError
from studio.core.frozen import Frozen

MODEL_FILE = "model.onnx"
INDEX_FILE = "artifact.json"

#: How often `put` stores a model that other processes discard meanwhile.
_ATTEMPTS = 10

_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Index(Frozen):
    """What lies in a blob's folder; written with it, so that finding a model needs no parsing."""

    sha256: str
    model_bytes: int
    external: tuple[ExternalFile, ...] = ()


class BlobStore:
    """Models by sha256, in ``sha256/<first two digits>/<digest>/`` under a root folder.

    A model's folder is made under a temporary name and renamed when all its files are on the disk, so
    that it is there whole or not at all; several processes may put and get at the same time. Files are
    copied or moved, never hard-linked: the ONNX checker refuses weights with several links, and an edit
    of the user's own file would change the stored one.

    Parameters
    ----------
    root
        Need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, artifact: Artifact, *, move: bool = False) -> Artifact:
        """Store a model with its external data; one that is already there is left as it is.

        Parameters
        ----------
        artifact
            The model to store; its digests are checked against its bytes.
        move
            Take the files away from where they are instead of copying them.

        Returns
        -------
        Artifact
            The stored one.

        Raises
        ------
        StoreError
            When a file was modified since it was opened, or the store cannot be written; nothing is
            stored then, and the artifact stays where it is.
        """
        target = self._folder(artifact.sha256)
        for _ in range(_ATTEMPTS):
            if not self.has(artifact.sha256):
                self._store(artifact, target, move)
            with suppress(OSError):
                # A model that is put again is in use again: see `last_use`.
                os.utime(target)
            try:
                stored = self.get(artifact.sha256)
            except _Gone:  # another process discarded it at this very moment
                continue
            if move:
                _remove_sources(artifact, target)
            return stored
        raise _gone(artifact.sha256, self.root)

    def has(self, sha256: str) -> bool:
        """Say whether a model is there, with every file of the right size."""
        try:
            self.get(sha256)
        except StoreError:
            return False
        return True

    def get(self, sha256: str, *, verify: bool = False) -> Artifact:
        """Find a model.

        Parameters
        ----------
        sha256
            The artifact's digest.
        verify
            Whether to read and hash all its bytes, not only to compare sizes.

        Raises
        ------
        StoreError
            When it is missing or damaged.
        """
        folder = self._folder(sha256)
        try:
            index = _Index.model_validate_json((folder / INDEX_FILE).read_bytes())
        except FileNotFoundError:
            raise _gone(sha256, self.root) from None
        except (OSError, ValidationError):
            raise _damaged(sha256, folder) from None
        artifact = Artifact(path=folder / MODEL_FILE, **index.model_dump())
        sizes = (index.model_bytes, *(file.bytes for file in index.external))
        if index.sha256 != sha256 or [_size(path) for path in artifact.files] != list(sizes):
            raise _damaged(sha256, folder) if folder.is_dir() else _gone(sha256, self.root)
        if verify and not _matches(artifact):
            raise _damaged(sha256, folder)
        return artifact

    def last_use(self, sha256: str) -> int:
        """Say when a model was put last, in nanoseconds since 1970; 0 when it is not there."""
        try:
            return self._folder(sha256).stat().st_mtime_ns
        except OSError:
            return 0

    def digests(self) -> tuple[str, ...]:
        """List the models that have a folder here, sorted."""
        return tuple(sorted(folder.name for folder in self._folders()))

    def verify(self) -> tuple[StoreError, ...]:
        """Read and hash every model; give an error for each that is damaged."""
        problems = []
        for sha256 in self.digests():
            try:
                self.get(sha256, verify=True)
            except StoreError as error:
                problems.append(error)
        return tuple(problems)

    def collect(self, keep: Collection[str]) -> int:
        """Remove every model that is not to be kept.

        Returns
        -------
        int
            Bytes freed.

        Raises
        ------
        StoreError
            When one cannot be removed.
        """
        return sum(self.discard(sha256) for sha256 in self.digests() if sha256 not in keep)

    def discard(self, sha256: str) -> int:
        """Remove one model; gives the bytes freed, 0 when it is not there.

        Raises
        ------
        StoreError
            When it cannot be removed.
        """
        folder = self._folder(sha256)
        if not folder.is_dir():
            return 0
        # Renamed first: a crash, or a reader in another process, never meets half a model.
        with temporary_beside(self.root / sha256) as grave, explained(folder, "removed"):
            try:
                folder.rename(grave)
            except FileNotFoundError:  # another process discarded it first
                return 0
            freed = folder_bytes(grave)
            remove(grave)
        return freed

    def clean(self, older_than: float = 0.0) -> int:
        """Remove what a crash left half done; gives how many. `older_than` as for `clean_temporaries`."""
        return clean_temporaries(self.root, older_than)

    def _folder(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise StoreError(f"{sha256!r} is not the digest of a model.", "Give 64 hexadecimal digits.")
        return self.root / "sha256" / sha256[:2] / sha256

    def _folders(self) -> Iterator[Path]:
        for folder in (self.root / "sha256").glob("??/*"):
            if _SHA256.fullmatch(folder.name) and folder.is_dir():
                yield folder

    def _store(self, artifact: Artifact, target: Path, move: bool) -> None:
        _check_source(artifact)
        with explained(target):
            self.root.mkdir(parents=True, exist_ok=True)
        with temporary_beside(self.root / artifact.sha256) as staging:
            try:
                _fill(staging, artifact, move)
                self._install(staging, target)
            except BaseException:
                _move_back(artifact, staging)
                raise

    def _install(self, staging: Path, target: Path) -> None:
        for parent in (self.root / "sha256", target.parent):
            if not parent.is_dir():
                parent.mkdir(exist_ok=True)
                sync_folder(parent.parent)
        if target.is_dir() and not self.has(target.name):
            self.discard(target.name)
        try:
            staging.rename(target)
        except OSError:
            # Another process stored the same model just before, and may have discarded it since.
            if not target.is_dir():
                staging.rename(target)
        sync_folder(target.parent)


def folder_bytes(folder: Path) -> int:
    """Sum of the sizes of all files in a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _fill(staging: Path, artifact: Artifact, move: bool) -> None:
    """Make a model's folder, with every file checked and flushed."""
    staging.mkdir()
    targets = _staged(artifact, staging)
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
    if move and _same_disk(artifact, staging):
        if not _matches(artifact):
            raise _modified(artifact)
        for source, target in zip(artifact.files, targets, strict=True):
            sync_file(source)
            source.rename(target)
    else:
        require_space(staging, artifact.bytes)
        hashes = [_copy(source, target) for source, target in zip(artifact.files, targets, strict=True)]
        if not _agrees(artifact, hashes):
            raise _modified(artifact)
    index = _Index(sha256=artifact.sha256, model_bytes=artifact.model_bytes, external=artifact.external)
    write_new(staging / INDEX_FILE, index.model_dump_json().encode())
    for path in (*targets, staging / INDEX_FILE):
        path.chmod(stat.S_IREAD | stat.S_IRGRP | stat.S_IROTH)
    for folder in {staging, *(target.parent for target in targets)}:
        sync_folder(folder)


def _staged(artifact: Artifact, folder: Path) -> tuple[Path, ...]:
    return (folder / MODEL_FILE, *(folder / file.location for file in artifact.external))


def _copy(source: Path, target: Path) -> str:
    """Copy a file durably, in pieces; gives the sha256 of what was copied."""
    hasher = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with source.open("rb") as stream:
            while piece := stream.read(CHUNK):
                hasher.update(piece)
                write_all(descriptor, piece)
        sync(descriptor)
    finally:
        os.close(descriptor)
    return hasher.hexdigest()


def _move_back(artifact: Artifact, staging: Path) -> None:
    """Give back the files that were moved before a failure; copied ones are still where they were."""
    for source, target in zip(artifact.files, _staged(artifact, staging), strict=True):
        if target.exists() and not source.exists():
            target.chmod(target.stat().st_mode | stat.S_IWRITE)
            target.rename(source)


def _remove_sources(artifact: Artifact, target: Path) -> None:
    """Finish a move that was a copy, or of a model that was already stored."""
    if artifact.path.parent.resolve() == target.resolve():
        return
    for path in artifact.files:
        with explained(path, "removed"):
            remove(path)


def _same_disk(artifact: Artifact, folder: Path) -> bool:
    """Whether plain files can be renamed into the folder; a symbolic link is copied instead."""
    device = folder.stat().st_dev
    return all(not path.is_symlink() and path.stat().st_dev == device for path in artifact.files)


def _matches(artifact: Artifact) -> bool:
    return rehash(artifact) == artifact.sha256


def _agrees(artifact: Artifact, hashes: list[str]) -> bool:
    external = tuple(
        file.model_copy(update={"sha256": found}) for file, found in zip(artifact.external, hashes[1:], strict=True)
    )
    return combined_sha256(hashes[0], external) == artifact.sha256


def _check_source(artifact: Artifact) -> None:
    sizes = [artifact.model_bytes, *(file.bytes for file in artifact.external)]
    if [_size(path) for path in artifact.files] != sizes:
        raise _modified(artifact)
    for file in artifact.external:
        if PurePosixPath(file.location).parts[0].lower() in (MODEL_FILE, INDEX_FILE):
            raise StoreError(
                f"{artifact.path.name} keeps weights in {file.location!r}, a name that the store needs.",
                "Save the model with its external data under another name.",
            )


def _modified(artifact: Artifact) -> StoreError:
    return StoreError(f"{artifact.path} was modified or removed since it was opened.", "Open the model again.")


class _Gone(StoreError):
    """A model that is not there, or no longer."""


def _gone(sha256: str, root: Path) -> _Gone:
    return _Gone(f"The model {sha256[:12]} is not in {root}.", "Run the step that made it again.")


def _damaged(sha256: str, folder: Path) -> StoreError:
    return StoreError(
        f"The stored model {sha256[:12]} in {folder} is damaged.", "Remove that folder and run its step again."
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
