"""``.npz``: arrays named after the model's inputs, first axis = samples, ``labels`` optional."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from studio.api import Batch, DataError, Dataset, DatasetReader, TensorInfo, as_numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS = "labels"
PIECE = 1 << 20


class NpzReader(DatasetReader):
    """Opens an ``.npz``; a model with one input takes its only array under any name."""

    id: ClassVar[str] = "npz"
    title: ClassVar[str] = ".npz with arrays named after the model's inputs"

    def matches(self, path: Path) -> bool:
        """Take files that end with ``.npz``."""
        return path.suffix == ".npz"

    def open(self, path: Path, inputs: Sequence[TensorInfo]) -> Dataset:
        """Read the arrays' headers and check them against the inputs.

        Raises
        ------
        DataError
            When the file is damaged, holds objects, or its names, types, shapes or counts do not fit.
        """
        headers = _headers(path)
        members = {info.name: _member(info, inputs, headers, path) for info in inputs}
        for info in inputs:
            _check(info, *headers[members[info.name]], path)
        counts = {name: headers[name][0][0] for name in {*members.values(), *({LABELS} & set(headers))}}
        if len(set(counts.values())) != 1:
            found = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
            raise DataError(
                f"The arrays of {path.name} differ in their number of samples: {found}.", "Make them equal."
            )
        return _Npz(path, tuple(inputs), members, next(iter(counts.values())), LABELS in headers)


class _Npz(Dataset):
    def __init__(
        self, path: Path, inputs: tuple[TensorInfo, ...], members: dict[str, str], samples: int, labelled: bool
    ) -> None:
        if samples == 0:
            raise DataError(f"{path.name} holds no samples.", "Give data with at least one sample.")
        self.name = path.name
        self.samples = samples
        self.labelled = labelled
        self._path = path
        self._inputs = inputs
        self._members = members

    def digest(self) -> str:
        with self._path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        total = self.samples if limit is None else min(limit, self.samples)
        with zipfile.ZipFile(self._path) as archive:
            rows = {info.name: _Rows(archive, self._members[info.name], self._path) for info in self._inputs}
            labels = _Rows(archive, LABELS, self._path) if self.labelled else None
            for first in range(0, total, size):
                count = min(size, total - first)
                feeds = {info.name: self._feed(info, rows[info.name].take(count), first) for info in self._inputs}
                yield Batch(first, feeds, labels.take(count).astype("int64") if labels else None)

    def _feed(self, info: TensorInfo, array: NDArray[Any], first: int) -> NDArray[Any]:
        import numpy as np

        made = array.astype(object if info.dtype == "object" else as_numpy_dtype(info.dtype))
        if array.dtype.kind == "f":
            bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
            if bad.any():
                raise DataError(
                    f"Sample {first + int(bad.argmax())} of {self._members[info.name]!r} in {self.name} "
                    "holds NaN or infinity.",
                    "Remove that sample, or mend how the data was made.",
                )
        return made


class _Rows:
    """Reads an array of the archive row by row, so that the whole is never in memory."""

    def __init__(self, archive: zipfile.ZipFile, member: str, path: Path) -> None:
        import numpy as np

        self._stream = archive.open(f"{member}.npy")
        shape, fortran, self._dtype = _read_header(self._stream)
        self._shape = shape[1:]
        self._row = int(np.prod(self._shape, dtype=np.int64)) * self._dtype.itemsize
        self._path = path
        if fortran and len(shape) > 1:
            raise DataError(f"The array {member!r} of {path.name} is in Fortran order.", "Save it with order C.")

    def take(self, count: int) -> NDArray[Any]:
        import numpy as np

        wanted = count * self._row
        try:
            data = b"" if not wanted else self._stream.read(wanted)
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise _damaged(self._path, error) from None
        if len(data) != wanted:
            raise _damaged(self._path, "it ends too early")
        return np.frombuffer(data, self._dtype).reshape((count, *self._shape))


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            for name in archive.namelist():
                with archive.open(name) as stream:
                    shape, _, dtype = _read_header(stream)
                if dtype.hasobject:
                    raise DataError(f"The array {name} of {path.name} holds Python objects.", "Save plain arrays.")
                if not shape:
                    raise DataError(f"The array {name} of {path.name} has no axis of samples.", "Add a first axis.")
                found[name.removesuffix(".npy")] = (shape, dtype)
            return found
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise _damaged(path, error) from None


def _read_header(stream: Any) -> tuple[tuple[int, ...], bool, Any]:
    import numpy as np

    version = np.lib.format.read_magic(stream)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return reader(stream)


def _damaged(path: Path, why: object) -> DataError:
    return DataError(f"{path.name} cannot be read: {why}.", "Make it again with numpy.savez or savez_compressed.")


def _member(info: TensorInfo, inputs: Sequence[TensorInfo], headers: dict[str, Any], path: Path) -> str:
    arrays = [name for name in headers if name != LABELS]
    if info.name in headers:
        return info.name
    if len(inputs) == 1 and len(arrays) == 1:
        return arrays[0]
    raise DataError(
        f"{path.name} has no array for the input {info.name!r}; it has {', '.join(arrays) or 'none'}.",
        f"Name the array {info.name!r}.",
    )


def _check(info: TensorInfo, shape: tuple[int, ...], dtype: Any, path: Path) -> None:
    wanted = "object" if info.dtype == "object" else as_numpy_dtype(info.dtype)
    fits_type = dtype.kind in "US" if info.dtype == "object" else _castable(dtype, wanted)
    if not fits_type:
        raise DataError(
            f"{path.name} holds {dtype} for the input {info.name!r}, which is {info.dtype}.",
            f"Save it as {info.dtype}.",
        )
    if info.shape is None:
        return
    rest = info.shape[1:]
    same = len(shape) == len(info.shape) and all(
        not isinstance(want, int) or want == have for want, have in zip(rest, shape[1:], strict=True)
    )
    if not same:
        dims = ", ".join("?" if dim is None else str(dim) for dim in info.shape)
        raise DataError(
            f"{path.name} holds shape {list(shape)} for the input {info.name!r}, which is [{dims}].",
            "The first axis is the samples; the others must be as the model wants them.",
        )


def _castable(dtype: Any, wanted: Any) -> bool:
    if wanted.kind in "iu":
        return dtype.kind in "iu"
    return dtype.kind in "iufb" if wanted.kind in "fV" else bool(dtype == wanted)
