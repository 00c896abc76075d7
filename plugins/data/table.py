"""A dataset of whole arrays: one column for each input, perhaps one of labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from studio.api import Batch, DataError, Dataset, Source, TensorInfo

from .columns import Column
from .fitting import check_column, conversion_note, convert
from .labels import as_labels, column_kind


class TableDataset(Dataset):
    """Samples along the first axis of some arrays, read in pieces.

    Parameters
    ----------
    path
        What it was opened from.
    inputs
        The model's inputs.
    columns
        Input name to the array that feeds it.
    labels
        The labels, if there are any.
    files
        The files that hold it all.
    how
        What the labels are, where it is said.

    Raises
    ------
    DataError
        When arrays do not fit the inputs or each other.
    """

    def __init__(
        self,
        path: Path,
        inputs: Sequence[TensorInfo],
        columns: Mapping[str, Column],
        labels: Column | None,
        files: Sequence[Path],
        how: Source | None = None,
    ) -> None:
        self.name = path.name
        for info in inputs:
            column = columns[info.name]
            check_column(info, column.shape, column.dtype, inputs, column.label)
        self.samples = _same_length(path, list(columns.values()))
        if labels is not None:
            wanted = how.reading.labels if how else None
            self.label_kind = column_kind(labels.shape, labels.dtype, self.samples, wanted)
        self.labelled = labels is not None
        notes = (conversion_note(info, columns[info.name].dtype, columns[info.name].label) for info in inputs)
        self.notes = tuple(note for note in notes if note)
        self._inputs = tuple(inputs)
        self._columns = dict(columns)
        self._labels = labels
        self._files = tuple(files)
        self._digest = ""

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Read the samples in order, `size` at a time, at most `limit`."""
        end = self.samples if limit is None else min(limit, self.samples)
        streams = {info.name: self._columns[info.name].blocks(size, end) for info in self._inputs}
        labels = self._labels.blocks(size, end) if self._labels is not None else None
        for first in range(0, end, size):
            feeds = {
                info.name: convert(next(streams[info.name]), info, first, self._columns[info.name].label)
                for info in self._inputs
            }
            yield Batch(first, feeds, None if labels is None else as_labels(next(labels), self.label_kind))

    def digest(self) -> str:
        """Give the sha256 of the files, read in pieces, once."""
        if not self._digest:
            # A lone file counts by its content: renaming it makes no other data of it.
            named = len(self._files) > 1
            self._digest = digest_files([(path.name if named else "", path) for path in self._files])
        return self._digest


def digest_files(named: Sequence[tuple[str, Path]]) -> str:
    """Give the sha256 over names and contents of files, read in pieces.

    Raises
    ------
    DataError
        When one cannot be read.
    """
    whole = hashlib.sha256()
    for name, path in named:
        try:
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.", "Check the file.") from None
        whole.update(f"{content} {name}\n".encode())
    return whole.hexdigest()


def _same_length(path: Path, columns: Sequence[Column]) -> int:
    first = columns[0]
    for column in columns[1:]:
        if column.shape[0] != first.shape[0]:
            raise DataError(
                f"{first.label} has {first.shape[0]:,} samples, but {column.label} has {column.shape[0]:,}.",
                "Save as many samples of each input.",
            )
    if first.shape[0] == 0:
        raise DataError(f"{path.name} has no samples.", "Give data with at least one sample.")
    return first.shape[0]
