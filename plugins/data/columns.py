"""Arrays on disk that are read in pieces: `.npy` files and members of `.npz` archives."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from studio.api import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AGAIN = "Save it again with numpy.save or numpy.savez."


@dataclass(frozen=True)
class Header:
    """What a `.npy` header says, and where the data begins."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one sample."""
        count = 1
        for size in self.shape[1:]:
            count *= size
        return count * self.dtype.itemsize

    @property
    def data_bytes(self) -> int:
        """Bytes of all samples."""
        return (self.shape[0] if self.shape else 1) * self.row_bytes


class Column(ABC):
    """An array whose first axis is the samples."""

    def __init__(self, label: str, header: Header) -> None:
        #: what it is, for messages
        self.label = label
        self.header = header

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.header.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its type as stored."""
        return self.header.dtype

    @abstractmethod
    def blocks(self, size: int, end: int) -> Iterator[NDArray[Any]]:
        """Read the samples up to `end` in order, `size` at a time, as arrays of their own.

        Raises
        ------
        DataError
            When the file is damaged or changed since it was opened.
        """


class NpyFile(Column):
    """A `.npy` file, memory-mapped.

    Raises
    ------
    DataError
        When it is no such file, is cut off, or holds Python objects.
    """

    def __init__(self, path: Path) -> None:
        with _reading(path.name), path.open("rb") as stream:
            header = read_header(stream, path.name)
        super().__init__(path.name, header)
        _check_length(header, path.stat().st_size, path.name)
        self._path = path

    def blocks(self, size: int, end: int) -> Iterator[NDArray[Any]]:
        """Copy slices of the map."""
        import numpy as np

        whole = self._map()
        for first in range(0, end, size):
            yield np.array(whole[first : min(first + size, end)], order="C")

    def whole(self) -> NDArray[Any]:
        """Read it all."""
        import numpy as np

        return np.array(self._map(), order="C")

    def _map(self) -> NDArray[Any]:
        import numpy as np

        header = self.header
        if header.data_bytes == 0:
            return np.empty(header.shape, header.dtype)
        with _reading(self.label):
            return np.memmap(self._path, header.dtype, "r", header.offset, header.shape, "F" if header.fortran else "C")


class ZipMember(Column):
    """An array inside a `.npz` archive, compressed or not, read as a stream.

    Raises
    ------
    DataError
        When it is no array, is cut off, holds Python objects, or is stored column by column.
    """

    def __init__(self, archive: Path, member: str) -> None:
        label = f"{member.removesuffix('.npy')!r} in {archive.name}"
        with _reading(label), zipfile.ZipFile(archive) as opened, opened.open(member) as stream:
            header = read_header(stream, label)
            size = opened.getinfo(member).file_size
        if header.fortran and len(header.shape) > 1:
            raise DataError(
                f"{label} is stored in Fortran order, so its samples cannot be read one after the other.",
                "Save numpy.ascontiguousarray of it.",
            )
        super().__init__(label, header)
        _check_length(header, size, label)
        self._archive = archive
        self._member = member

    def blocks(self, size: int, end: int) -> Iterator[NDArray[Any]]:
        """Read and unpack as far as needed."""
        import numpy as np

        with _reading(self.label), zipfile.ZipFile(self._archive) as opened, opened.open(self._member) as stream:
            stream.read(self.header.offset)
            for first in range(0, end, size):
                count = min(size, end - first)
                raw = _read_exactly(stream, count * self.header.row_bytes)
                yield (
                    np.frombuffer(raw, self.dtype).reshape(count, *self.shape[1:])
                    if raw
                    else np.empty((count, *self.shape[1:]), self.dtype)
                )


def read_header(stream: IO[bytes], label: str) -> Header:
    """Read the header of a `.npy` stream; nothing is unpickled.

    Raises
    ------
    DataError
        When it is no array, or one of Python objects or records.
    """
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except ValueError:
        raise DataError(f"{label} is not an array in numpy's format.", _AGAIN) from None
    if dtype.hasobject:
        raise DataError(
            f"{label} holds Python objects, which could run code when loaded and are refused.",
            "Save an array of numbers, or of fixed-width strings.",
        )
    if dtype.names is not None:
        raise DataError(f"{label} holds records, not numbers.", "Save one array for each input.")
    return Header(tuple(shape), dtype, bool(fortran), stream.tell())


def _check_length(header: Header, size: int, label: str) -> None:
    if size < header.offset + header.data_bytes:
        raise DataError(
            f"{label} is cut off: {size - header.offset:,} bytes of {header.data_bytes:,}.", "Copy or save it again."
        )


def _read_exactly(stream: IO[bytes], count: int) -> bytearray:
    raw = bytearray(count)
    view = memoryview(raw)
    done = 0
    while done < count:
        piece = stream.read(min(count - done, 1 << 20))
        if not piece:
            raise EOFError
        view[done : done + len(piece)] = piece
        done += len(piece)
    return raw


@contextmanager
def _reading(label: str) -> Iterator[None]:
    """Explain what goes wrong while reading."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise DataError(
            f"{label} is damaged or cut off: {str(error) or 'it ends early'}.", "Copy or save it again."
        ) from None
    except (RuntimeError, NotImplementedError) as error:  # what zipfile raises for encryption and unknown methods
        raise DataError(f"{label} cannot be unpacked: {error}.", _AGAIN) from None
    except OSError as error:
        raise DataError(
            f"{label} cannot be read: {error.strerror or error}.", "Check the file and its permissions."
        ) from None
