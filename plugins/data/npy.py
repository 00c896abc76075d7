"""`.npy` arrays: one file, or a folder with one for each input or one for each sample."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.api import DataError, Dataset, DatasetReader, LabelKind, Source, TensorInfo

from .columns import NpyFile
from .files import FilesDataset, Labelling, Sample, array_loader, array_note
from .fitting import LABELS, assign
from .labels import as_labels, column_kind
from .table import TableDataset


class NpyReader(DatasetReader):
    """Reads memory-mapped `.npy` files."""

    id = "npy"
    title = ".npy array, or folder of them"

    def matches(self, path: Path) -> bool:
        """Say whether it is such a file, or a folder that holds one."""
        if path.is_dir():
            return next(path.glob("*.npy"), None) is not None
        return path.suffix.lower() == ".npy" and path.is_file()

    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        """Open a file or folder.

        A folder's files are named after the inputs (other characters than letters, digits, ``_``,
        ``-`` and ``.`` replaced by ``_``) and hold the samples along their first axis; or, for a model
        with one input, each holds one sample, taken in the order of their names. ``labels.npy`` is
        optional.

        Raises
        ------
        DataError
            When it cannot be read, or does not fit the inputs.
        """
        files = _files(path)
        arrays = {name: file for name, file in files.items() if name != LABELS}
        names = {file_name(info.name): info.name for info in inputs}
        if len(inputs) == 1 and len(arrays) > 1 and not names.keys() <= arrays.keys():
            return _one_each(path, inputs[0], arrays, files.get(LABELS), how)
        named = {names.get(stem, stem): file for stem, file in files.items()}
        assigned = assign(named, inputs, path.name)
        columns = {name: NpyFile(named[array]) for name, array in assigned.items()}
        labels = NpyFile(files[LABELS]) if LABELS in files and LABELS not in assigned else None
        return TableDataset(path, inputs, columns, labels, sorted(files.values()), how)


def file_name(name: str) -> str:
    """Give the file name, without its ending, of an input's array."""
    return re.sub(r"[^\w.-]", "_", name)


def _files(path: Path) -> dict[str, Path]:
    """List the files by name without ending, sorted."""
    if path.is_file():
        return {path.stem: path}
    found = {file.stem: file for file in sorted(path.glob("*.npy"))}
    if not found:
        raise DataError(f"{path.name} holds no .npy files.", "Save one for each input there.")
    return found


def _one_each(
    path: Path, info: TensorInfo, arrays: dict[str, Path], labels: Path | None, how: Source | None
) -> Dataset:
    """Open a folder in which each file holds one sample."""
    files = list(arrays.values())
    rows: list[Any] = [None] * len(files)
    kind: LabelKind = "class"
    if labels is not None:
        column = NpyFile(labels)
        kind = column_kind(column.shape, column.dtype, len(files), how.reading.labels if how else None)
        rows = list(as_labels(column.whole(), kind))
    samples = [Sample((file,), label) for file, label in zip(files, rows, strict=True)]
    loads = {info.name: array_loader(info, [info])}
    return FilesDataset(path, loads, samples, array_note(info, files[0]), labelling=Labelling(kind))
