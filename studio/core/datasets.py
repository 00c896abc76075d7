"""Opening a dataset by what its path is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studio.core.artifact import sha256_file
from studio.core.dataset import Dataset, DatasetReader
from studio.core.errors import DataError, UsageError
from studio.core.frozen import digest
from studio.core.runtime import TensorInfo


def open_dataset(path: Path, inputs: Sequence[TensorInfo], readers: Sequence[DatasetReader]) -> Dataset:
    """Open a dataset with the first reader that knows its kind.

    Parameters
    ----------
    path
        A file or folder.
    inputs
        The inputs of the model that it is for.

    Raises
    ------
    DataError
        When there is nothing at the path, it cannot be read, or it does not fit the model.
    UsageError
        When it is of no known kind.
    """
    if not path.exists():
        raise DataError(f"There is no data at {path}.", "Check the path.")
    for reader in readers:
        if reader.matches(path):
            return reader.open(path, inputs)
    kinds = "; ".join(reader.title for reader in readers) or "none, since no plugin reads datasets"
    what = "folder" if path.is_dir() else "file"
    raise UsageError(f"The {what} {path.name} is no known kind of dataset.", f"Known kinds: {kinds}.")


def data_digest(path: Path | None) -> str:
    """Name the content of data, for the step cache's key; ``"synthetic"`` without data.

    A file counts by its bytes; a folder by its files' names, sizes and times of change, since hashing
    many pictures would take longer than most passes.
    """
    if path is None:
        return "synthetic"
    if path.is_file():
        return sha256_file(path)
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else []
    return digest([[str(item.relative_to(path)), item.stat().st_size, item.stat().st_mtime_ns] for item in files])
