"""Manifests: a `.csv` or `.jsonl` file that lists files, or holds text, and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import DataError, Dataset, DatasetReader, Preprocessing, Reading, Source, TensorInfo, nearest

from .audio import audio_loader
from .files import FilesDataset, Labelling, Load, Sample, array_loader, array_note
from .pictures import SUFFIXES, load_picture, picture_format
from .rows import RowLabels, read_rows
from .sound import SUFFIXES as SOUNDS
from .text import TextDataset, takes_tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: column with the file of the only input
PATH = "path"


class ManifestReader(DatasetReader):
    """Reads manifests of images, audio, `.npy` arrays of one sample, or text."""

    id = "manifest"
    title = ".csv or .jsonl manifest of files or text, and labels"

    def matches(self, path: Path) -> bool:
        """Say whether it is a file named so."""
        return path.suffix.lower() in (".csv", ".jsonl") and path.is_file()

    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        """Open a manifest.

        The column ``path`` (or, for several inputs, a column named after each) holds paths relative
        to the manifest, the optional column ``label`` labels. With a tokenizer it holds text instead.

        Raises
        ------
        DataError
            When a line is not valid, a file is missing, or only some lines have a label.
        """
        reading = how.reading if how else Reading()
        if reading.tokenizer is not None or reading.text or _holds_text(path, inputs):
            return TextDataset(path, inputs, reading)
        columns = [PATH] if len(inputs) == 1 else [info.name for info in inputs]
        labels = RowLabels(path, reading.label, reading.labels)
        samples = [
            Sample(tuple(_file(path, line, row, column) for column in columns), labels.read(line, row))
            for line, row in read_rows(path)
        ]
        wanted = how.preprocess if how else None
        pictured = bool(samples) and any(file.suffix.lower() in SUFFIXES for file in samples[0].paths)
        return FilesDataset(
            path.parent / path.name,
            {info.name: _loader(info, inputs, wanted, reading) for info in inputs},
            samples,
            _notes(inputs, samples),
            labelling=Labelling(labels.kind, classes=labels.classes),
            preprocessing=(wanted or Preprocessing()) if pictured else None,
        )


def _holds_text(path: Path, inputs: Sequence[TensorInfo]) -> bool:
    """Say whether a model takes tokens and the first line names no files for them."""
    if not takes_tokens(inputs):
        return False
    first = next((row for _, row in read_rows(path)), {})
    return PATH not in first and not all(info.name in first for info in inputs)


def _file(path: Path, line: int, row: Mapping[str, Any], column: str) -> Path:
    value = row.get(column)
    if not isinstance(value, str) or not value:
        known = nearest(column, row) or "It has no columns."
        raise DataError(f"Line {line} of {path.name} has no {column!r}.", f"Write a column {column!r}. {known}")
    file = path.parent / value
    if file.suffix.lower() not in SUFFIXES | SOUNDS | {".npy"}:
        raise DataError(
            f"Line {line} of {path.name} names {value!r}, neither an image nor a .npy nor audio.", "Convert it."
        )
    if not file.is_file():
        raise DataError(
            f"Line {line} of {path.name} names {value!r}, which is not there.",
            f"Paths are relative to {path.parent}.",
        )
    return file


def _loader(info: TensorInfo, inputs: Sequence[TensorInfo], how: Preprocessing | None, reading: Reading) -> Load:
    """Give what reads a file of an input by its ending."""
    arrays = array_loader(info, inputs)
    made: dict[str, Load] = {}

    def load(path: Path) -> NDArray[Any]:
        ending = path.suffix.lower()
        if ending == ".npy":
            return arrays(path)
        kind = "sound" if ending in SOUNDS else "picture"
        if kind not in made:
            made[kind] = audio_loader([info], reading) if kind == "sound" else pictures()
        return made[kind](path)

    def pictures() -> Load:
        return partial(load_picture, wanted=picture_format([info], how))

    return load


def _notes(inputs: Sequence[TensorInfo], samples: Sequence[Sample]) -> tuple[str, ...]:
    """Say what is converted, judging by the first sample."""
    if not samples:
        return ()
    pairs = zip(inputs, samples[0].paths, strict=True)
    return tuple(note for info, file in pairs if file.suffix.lower() == ".npy" for note in array_note(info, file))
