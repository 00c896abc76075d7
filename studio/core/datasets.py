"""Opening a dataset by what its path is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studio.core.artifact import sha256_file
from studio.core.dataset import Dataset, DatasetReader
from studio.core.errors import DataError, UsageError
from studio.core.frozen import digest
from studio.core.runtime import TensorInfo
from studio.core.source import Source, is_source, read_source
from studio.core.splitting import PartOfDataset


def open_dataset(
    path: Path, inputs: Sequence[TensorInfo], readers: Sequence[DatasetReader], how: Source | None = None
) -> Dataset:
    """Open a dataset with the first reader that knows its kind.

    Parameters
    ----------
    path
        A file or folder, or a description of one (see `studio.core.source`).
    inputs
        The inputs of the model that it is for.
    how
        How it is read; a description of its own takes its place.

    Raises
    ------
    DataError
        When there is nothing at the path, it cannot be read, or it does not fit the model.
    UsageError
        When it is of no known kind.
    """
    if not path.exists():
        raise DataError(f"There is no data at {path}.", "Check the path.")
    if is_source(path):
        return open_source(read_source(path), inputs, readers)
    for reader in readers:
        if reader.matches(path):
            return reader.open(path, inputs, how)
    kinds = "; ".join(reader.title for reader in readers) or "none, since no plugin reads datasets"
    what = "folder" if path.is_dir() else "file"
    raise UsageError(f"The {what} {path.name} is no known kind of dataset.", f"Known kinds: {kinds}.")


def open_source(source: Source, inputs: Sequence[TensorInfo], readers: Sequence[DatasetReader]) -> Dataset:
    """Open data as a description says.

    Raises
    ------
    DataError
        When it cannot be read, does not fit the model, or no sample is in the part.
    """
    if is_source(source.path):
        raise DataError(f"{source.path.name} is a description of data itself.", "Name the data it describes.")
    dataset = open_dataset(source.path, inputs, readers, source)
    if dataset.preprocessing is None and source.preprocess is not None:
        dataset.preprocessing = source.preprocess
        dataset.notes = (*dataset.notes, f"{dataset.name} holds no pictures: it is taken as it is, unprepared.")
    return dataset if source.part is None else PartOfDataset(dataset, source.part)


def data_digest(path: Path | None) -> str:
    """Name the content of data, for the step cache's key; ``"synthetic"`` without data.

    A file counts by its bytes; a folder by its files' names, sizes and times of change, since hashing
    many pictures would take longer than most passes.
    """
    if path is None:
        return "synthetic"
    if is_source(path):
        source = read_source(path)
        said = source.model_dump(mode="json", exclude={"path": True, "reading": {"tokenizer": True}})
        return digest([said, data_digest(source.path), data_digest(source.reading.tokenizer)])
    if path.is_file():
        return sha256_file(path)
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else []
    return digest([[str(item.relative_to(path)), item.stat().st_size, item.stat().st_mtime_ns] for item in files])
