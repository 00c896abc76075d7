"""Manifests: a `.csv` or `.jsonl` file that lists files and labels."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import DataError, Dataset, DatasetReader, TensorInfo, nearest

from .files import FilesDataset, Load, Sample, array_loader, array_note
from .pictures import SUFFIXES, load_picture, picture_format

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: column with the file of the only input
PATH = "path"
LABEL = "label"

#: number of the line, column to value
Row = tuple[int, Mapping[str, Any]]


class ManifestReader(DatasetReader):
    """Reads manifests whose files are images or `.npy` arrays of one sample."""

    id = "manifest"
    title = ".csv or .jsonl manifest of files and labels"

    def matches(self, path: Path) -> bool:
        """Say whether it is a file named so."""
        return path.suffix.lower() in (".csv", ".jsonl") and path.is_file()

    def open(self, path: Path, inputs: Sequence[TensorInfo]) -> Dataset:
        """Open a manifest.

        The column ``path`` (or, for several inputs, a column named after each) holds paths relative
        to the manifest, the optional column ``label`` class indices.

        Raises
        ------
        DataError
            When a line is not valid, a file is missing, or only some lines have a label.
        """
        columns = [PATH] if len(inputs) == 1 else [info.name for info in inputs]
        samples: list[Sample] = []
        for line, row in _rows(path):
            samples.append(_sample(path, line, row, columns))
            if (samples[-1].label is None) != (samples[0].label is None):
                raise DataError(
                    f"Some lines of {path.name} have a label and others none, such as line {line}.",
                    "Label all samples or none.",
                )
        loads = {info.name: _loader(info, inputs) for info in inputs}
        return FilesDataset(path.parent / path.name, loads, samples, _notes(inputs, samples))


def _rows(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _json_rows(path, stream) if path.suffix.lower() == ".jsonl" else _csv_rows(path, stream)
    except UnicodeDecodeError:
        raise DataError(f"{path.name} is not text in UTF-8.", "Save it as UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from None


def _csv_rows(path: Path, stream: Any) -> Iterator[Row]:
    reader = csv.DictReader(stream, strict=True)
    try:
        for row in reader:
            yield reader.line_num, {key: value for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num} of {path.name} is not valid CSV: {error}.", "Mend it.") from None


def _json_rows(path: Path, stream: Any) -> Iterator[Row]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"Line {number} of {path.name} is not valid JSON: {error}.", "Mend it.") from None
        if not isinstance(row, dict):
            raise DataError(f"Line {number} of {path.name} is not an object.", 'Write {"path": ..., "label": ...}.')
        yield number, row


def _sample(path: Path, line: int, row: Mapping[str, Any], columns: Sequence[str]) -> Sample:
    files = tuple(_file(path, line, row, column) for column in columns)
    return Sample(files, _label(path, line, row.get(LABEL)))


def _file(path: Path, line: int, row: Mapping[str, Any], column: str) -> Path:
    value = row.get(column)
    if not isinstance(value, str) or not value:
        known = nearest(column, row) or "It has no columns."
        raise DataError(f"Line {line} of {path.name} has no {column!r}.", f"Write a column {column!r}. {known}")
    file = path.parent / value
    if file.suffix.lower() not in SUFFIXES | {".npy"}:
        raise DataError(f"Line {line} of {path.name} names {value!r}, neither an image nor a .npy.", "Convert it.")
    if not file.is_file():
        raise DataError(
            f"Line {line} of {path.name} names {value!r}, which is not there.",
            f"Paths are relative to {path.parent}.",
        )
    return file


def _label(path: Path, line: int, value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        return int(value)
    raise DataError(
        f"Line {line} of {path.name} has the label {value!r}, which is no class index.",
        "Number the classes from 0, as the model does.",
    )


def _loader(info: TensorInfo, inputs: Sequence[TensorInfo]) -> Load:
    """Give what reads a file of an input by its ending."""
    arrays = array_loader(info, inputs)

    def load(path: Path) -> NDArray[Any]:
        return arrays(path) if path.suffix.lower() == ".npy" else pictures()(path)

    def pictures() -> Load:
        return partial(load_picture, wanted=picture_format([info]))

    return load


def _notes(inputs: Sequence[TensorInfo], samples: Sequence[Sample]) -> tuple[str, ...]:
    """Say what is converted, judging by the first sample."""
    if not samples:
        return ()
    pairs = zip(inputs, samples[0].paths, strict=True)
    return tuple(note for info, file in pairs if file.suffix.lower() == ".npy" for note in array_note(info, file))
