"""A dataset of one file a sample (and input), with labels or without."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import Batch, DataError, Dataset, LabelKind, Preprocessing, TensorInfo

from .columns import NpyFile
from .fitting import check_column, conversion_note, convert
from .labels import as_labels
from .table import digest_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Reads the sample that a file holds, without the samples' axis, as the input wants it.
Load = Callable[[Path], "NDArray[Any]"]
#: Reads what a label names, such as a mask's file; the label itself where there is nothing to read.
LoadLabel = Callable[["Sample"], Any]


@dataclass(frozen=True)
class Sample:
    """The files of one sample, in the order of the inputs, and its label, such as a class index."""

    paths: tuple[Path, ...]
    label: Any = None


@dataclass(frozen=True)
class Labelling:
    """What the labels of samples are, and how they are read; `classes` counts those of multi-label data."""

    kind: LabelKind = "class"
    load: LoadLabel | None = None
    classes: int = 0

    def of(self, samples: Sequence[Sample]) -> NDArray[Any]:
        """Give the labels of some samples."""
        rows = [sample.label if self.load is None else self.load(sample) for sample in samples]
        return as_labels(rows, self.kind, self.classes)


class FilesDataset(Dataset):
    """Samples in files of their own, read when their turn comes.

    Parameters
    ----------
    path
        What it was opened from; names in the digest are relative to it.
    loads
        Input name to what reads its files, in the order of the inputs.
    samples
        All labelled or none.
    preprocessing
        How its pictures are prepared, if it has any.

    Raises
    ------
    DataError
        When there are no samples, or the first does not fit.
    """

    def __init__(
        self,
        path: Path,
        loads: Mapping[str, Load],
        samples: Sequence[Sample],
        notes: tuple[str, ...] = (),
        *,
        labelling: Labelling | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        if not samples:
            raise DataError(f"{path.name} has no samples.", "Give data with at least one sample.")
        self.name = path.name
        self.samples = len(samples)
        self.labelled = samples[0].label is not None
        self.notes = notes
        self.preprocessing = preprocessing
        self._labelling = labelling or Labelling()
        self.label_kind = self._labelling.kind
        self._path = path
        self._loads = loads
        self._samples = tuple(samples)
        self._digest = ""
        for load, file in zip(loads.values(), samples[0].paths, strict=True):
            load(file)

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Read the samples in order, `size` at a time, at most `limit`."""
        end = self.samples if limit is None else min(limit, self.samples)
        for first in range(0, end, size):
            piece = self._samples[first : min(first + size, end)]
            feeds = {
                name: _stack(load, [sample.paths[index] for sample in piece])
                for index, (name, load) in enumerate(self._loads.items())
            }
            yield Batch(first, feeds, self._labelling.of(piece) if self.labelled else None)

    def fingerprints(self) -> Iterator[bytes]:
        """Give the hash of each sample's files: no picture is unpacked for it."""
        for sample in self._samples:
            content = hashlib.sha256()
            for path in sample.paths:
                content.update(file_digest(path))
            yield content.digest()

    def digest(self) -> str:
        """Give the sha256 over names, labels and contents of all files, read in pieces, once."""
        if not self._digest:
            named = []
            for sample in self._samples:
                files = (*sample.paths, sample.label) if isinstance(sample.label, Path) else sample.paths
                named += [(f"{_label_text(sample.label)} {self._relative(path)}", path) for path in files]
            self._digest = digest_files(named)
        return self._digest

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._path).as_posix() if path.is_relative_to(self._path) else path.name


def file_digest(path: Path) -> bytes:
    """Give the sha256 of a file, read in pieces.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check the file.") from None


def array_loader(info: TensorInfo, inputs: Sequence[TensorInfo]) -> Load:
    """Give what reads a `.npy` file that holds one sample of an input, checked and converted."""

    def load(path: Path) -> NDArray[Any]:
        file = NpyFile(path)
        check_column(info, (1, *file.shape), file.dtype, inputs, f"{path.name} as one sample")
        sample: NDArray[Any] = convert(file.whole()[None], info, 0, path.name)[0]
        return sample

    return load


def array_note(info: TensorInfo, path: Path) -> tuple[str, ...]:
    """Say of the samples of one file's type that they are converted; empty when they are not."""
    note = conversion_note(info, NpyFile(path).dtype, path.name)
    return (note,) if note else ()


def _stack(load: Load, paths: Sequence[Path]) -> NDArray[Any]:
    import numpy as np

    arrays = [load(path) for path in paths]
    for path, array in zip(paths, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise DataError(
                f"{path.name} has shape {list(array.shape)}, but {paths[0].name} has {list(arrays[0].shape)}: "
                "they cannot be one batch.",
                "Use a batch size of 1, or samples of one shape (--read length=N for text, seconds=N for audio).",
            )
    return np.stack(arrays)


def _label_text(label: Any) -> str:
    """Name a label in a digest; a mask's file counts by its content elsewhere."""
    return label.name if isinstance(label, Path) else repr(label.tolist()) if hasattr(label, "tolist") else str(label)
