"""A dataset of one file a sample (and input), with labels or without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import Batch, DataError, Dataset, TensorInfo

from .columns import NpyFile
from .fitting import check_column, conversion_note, convert
from .table import digest_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Reads the sample that a file holds, without the samples' axis, as the input wants it.
Load = Callable[[Path], "NDArray[Any]"]


@dataclass(frozen=True)
class Sample:
    """The files of one sample, in the order of the inputs, and its class index."""

    paths: tuple[Path, ...]
    label: int | None = None


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

    Raises
    ------
    DataError
        When there are no samples, or the first does not fit.
    """

    def __init__(
        self, path: Path, loads: dict[str, Load], samples: Sequence[Sample], notes: tuple[str, ...] = ()
    ) -> None:
        if not samples:
            raise DataError(f"{path.name} has no samples.", "Give data with at least one sample.")
        self.name = path.name
        self.samples = len(samples)
        self.labelled = samples[0].label is not None
        self.notes = notes
        self._path = path
        self._loads = loads
        self._samples = tuple(samples)
        self._digest = ""
        for load, file in zip(loads.values(), samples[0].paths, strict=True):
            load(file)

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Read the samples in order, `size` at a time, at most `limit`."""
        import numpy as np

        end = self.samples if limit is None else min(limit, self.samples)
        for first in range(0, end, size):
            piece = self._samples[first : min(first + size, end)]
            feeds = {
                name: _stack(load, [sample.paths[index] for sample in piece])
                for index, (name, load) in enumerate(self._loads.items())
            }
            labels = np.array([sample.label for sample in piece], dtype=np.int64) if self.labelled else None
            yield Batch(first, feeds, labels)

    def digest(self) -> str:
        """Give the sha256 over names, labels and contents of all files, read in pieces, once."""
        if not self._digest:
            named = [
                (f"{sample.label} {_relative(path, self._path)}", path)
                for sample in self._samples
                for path in sample.paths
            ]
            self._digest = digest_files(named)
        return self._digest


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
                "Use a batch size of 1, or save samples of one shape.",
            )
    return np.stack(arrays)


def _relative(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
