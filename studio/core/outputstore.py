"""Outputs of every sample, kept on disk in a compact form, so that models are compared without running them again."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from studio.core.atomic import explained, write_atomic
from studio.core.frozen import Frozen

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

#: outputs of more elements than this for a sample are kept in half precision
WIDE = 4096
#: bytes that the outputs of one model on one dataset may take; later samples are not kept
LIMIT = 2 << 30
INDEX = "index.json"
_LARGEST_HALF = 65504.0


class KeptOutput(Frozen):
    """One output: its file, the shape of one sample's, and the type that it is kept in."""

    file: str
    shape: tuple[int, ...]
    dtype: str


class KeptIndex(Frozen):
    """What is kept: `samples` from the first on; `complete` when these are all of the dataset."""

    samples: int
    complete: bool
    outputs: dict[str, KeptOutput]


class Kept:
    """Outputs that were kept; read in pieces."""

    def __init__(self, folder: Path, index: KeptIndex) -> None:
        self._folder, self.index = folder, index

    @property
    def samples(self) -> int:
        """How many samples are kept."""
        return self.index.samples

    def batches(self, size: int, samples: int) -> Iterator[dict[str, NDArray[Any]]]:
        """Give the outputs of the first `samples`, `size` at a time, first axis the samples."""
        import numpy as np

        if not samples:
            return
        maps = {
            name: np.memmap(
                self._folder / item.file, dtype=item.dtype, mode="r", shape=(self.index.samples, *item.shape)
            )
            for name, item in self.index.outputs.items()
            if math.prod(item.shape)
        }
        for first in range(0, samples, size):
            yield {name: np.array(array[first : min(first + size, samples)]) for name, array in maps.items()}


def find_outputs(folder: Path) -> Kept | None:
    """Open a folder of kept outputs; None when there is none or it is damaged."""
    try:
        index = KeptIndex.model_validate(json.loads((folder / INDEX).read_bytes()))
    except (OSError, ValueError, ValidationError):
        return None
    for item in index.outputs.values():
        path = folder / item.file
        wanted = index.samples * math.prod(item.shape) * _itemsize(item.dtype)
        if not path.is_file() or path.stat().st_size < wanted:
            return None
    with suppress(OSError):
        os.utime(folder / INDEX)
    return Kept(folder, index)


class OutputWriter:
    """Keeps outputs as they are made; a context manager that leaves a readable folder, whatever stopped it.

    Only outputs of numbers are kept, floats in float32 or, where they are wide, in float16.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._outputs: dict[str, KeptOutput] = {}
        self._streams: dict[str, Any] = {}
        self._samples = self._bytes = 0
        self.full = False
        shutil.rmtree(folder, ignore_errors=True)
        with explained(folder):
            folder.mkdir(parents=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._streams.values():
            stream.close()
        index = KeptIndex(samples=self._samples, complete=error is None and not self.full, outputs=self._outputs)
        write_atomic(self._folder / INDEX, index.model_dump_json())

    def add(self, outputs: Mapping[str, NDArray[Any]]) -> None:
        """Keep the outputs of some samples, first axis the samples; nothing once there is no room."""
        if not self._outputs:
            self._begin(outputs)
        if self.full or not all(outputs[name].shape[1:] == item.shape for name, item in self._outputs.items()):
            self.full = True
            return
        pieces = {name: _kept(outputs[name], item.dtype) for name, item in self._outputs.items()}
        self._bytes += sum(array.nbytes for array in pieces.values())
        if self._bytes > LIMIT:
            self.full = True
            return
        with explained(self._folder):
            for name, array in pieces.items():
                self._streams[name].write(array.tobytes())
        self._samples += len(next(iter(outputs.values())))

    def _begin(self, outputs: Mapping[str, NDArray[Any]]) -> None:
        for number, (name, array) in enumerate(outputs.items()):
            if array.dtype.kind not in "fViub":
                continue
            dtype = array.dtype.name
            if array.dtype.kind in "fV":
                dtype = "float16" if math.prod(array.shape[1:]) > WIDE else "float32"
            item = KeptOutput(file=f"{number}.bin", shape=array.shape[1:], dtype=dtype)
            self._outputs[name] = item
            with explained(self._folder):
                self._streams[name] = (self._folder / item.file).open("wb")


def _kept(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    import numpy as np

    if dtype == "float16":
        array = np.clip(array.astype(np.float32), -_LARGEST_HALF, _LARGEST_HALF)
    kept: NDArray[Any] = np.ascontiguousarray(array, dtype=dtype)
    return kept


def _itemsize(dtype: str) -> int:
    import numpy as np

    return int(np.dtype(dtype).itemsize)
