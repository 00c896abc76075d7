"""`.npz` archives: arrays named after the model's inputs, the samples along the first axis."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from studio.api import DataError, Dataset, DatasetReader, Source, TensorInfo

from .columns import ZipMember
from .fitting import LABELS, assign
from .table import TableDataset


class NpzReader(DatasetReader):
    """Reads `.npz` archives as a stream, compressed or not."""

    id = "npz"
    title = ".npz archive of arrays named after the inputs"

    def matches(self, path: Path) -> bool:
        """Say whether it is a file named so."""
        return path.suffix.lower() == ".npz" and path.is_file()

    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        """Open an archive; ``labels`` in it are optional.

        Raises
        ------
        DataError
            When it cannot be read, or its arrays do not fit the inputs.
        """
        members = _members(path)
        arrays = assign(members, inputs, path.name)
        columns = {name: ZipMember(path, members[array]) for name, array in arrays.items()}
        labels = ZipMember(path, members[LABELS]) if LABELS in members and LABELS not in arrays else None
        return TableDataset(path, inputs, columns, labels, [path], how)


def _members(path: Path) -> dict[str, str]:
    """Give the arrays' names and those of the files that hold them."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
    except zipfile.BadZipFile:
        raise DataError(
            f"{path.name} is not a complete .npz archive.", "Save it again with numpy.savez; it was probably cut off."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from None
