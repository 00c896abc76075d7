"""Audio: a folder of sound files, one sub-folder a class, as waveforms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import DataError, Dataset, DatasetReader, Reading, Source, TensorInfo, as_numpy_dtype, has_batch_axis

from .files import FilesDataset, Load
from .images import class_samples
from .layouts import folders
from .sound import SUFFIXES, read_sound, resampled

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AudioReader(DatasetReader):
    """Reads sound files when their turn comes."""

    id = "audio"
    title = "folder of audio (.wav and others), one sub-folder a class"

    def matches(self, path: Path) -> bool:
        """Say whether it is a folder with a sound file in it or in a sub-folder."""
        return path.is_dir() and any(next(sounds(folder), None) is not None for folder in (path, *folders(path)))

    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        """Open a folder; class i is the i-th sub-folder by name, empty ones counted.

        Raises
        ------
        DataError
            When the model takes no waveform, or files lie beside class folders.
        """
        reading = how.reading if how else Reading()
        load = audio_loader(inputs, reading)
        samples = class_samples(path, sounds, "sound files")
        rate = f" at {reading.rate:,} samples a second" if reading.rate else " at the rate of the files"
        return FilesDataset(path, {inputs[0].name: load}, samples, (f"Sound is read as one channel{rate}.",))


def sounds(folder: Path) -> Iterator[Path]:
    """List the sound files of a folder, in no order."""
    for item in folder.iterdir():
        if item.suffix.lower() in SUFFIXES and not item.name.startswith(".") and item.is_file():
            yield item


def audio_loader(inputs: Sequence[TensorInfo], reading: Reading) -> Load:
    """Give what reads a sound file as an input wants it: one channel, resampled, padded or cut at its end.

    Raises
    ------
    DataError
        When the input takes no waveform, or a length is asked for that it does not take.
    """
    info = inputs[0]
    shape = info.shape or ()
    rest = shape[1:] if info.shape is not None and has_batch_axis(inputs, info.name) else shape
    one_channel = len(rest) == 1 or (len(rest) == 2 and not (isinstance(rest[0], int) and rest[0] != 1))
    if len(inputs) != 1 or info.dtype not in ("float32", "float16", "float64") or not one_channel:
        listed = ", ".join(f"{item.name} {item.dtype} {list(item.shape or ())}" for item in inputs)
        raise DataError(
            f"The model takes no waveform: its inputs are {listed}, not [batch, samples] or [batch, 1, samples].",
            "Give arrays, as .npz, such as spectrograms computed as in training.",
        )
    fixed = rest[-1] if isinstance(rest[-1], int) else None
    return partial(_load, info=info, rank=len(rest), fixed=fixed, reading=reading)


def _load(path: Path, info: TensorInfo, rank: int, fixed: int | None, reading: Reading) -> NDArray[Any]:
    import numpy as np

    samples, rate = read_sound(path)
    if reading.rate is not None:
        samples, rate = resampled(samples, rate, reading.rate), reading.rate
    length = fixed
    if length is None and reading.seconds is not None:
        length = max(1, round(reading.seconds * rate))
    if length is not None:
        samples = np.pad(samples[:length], (0, max(0, length - len(samples))))
    return samples.reshape((1,) * (rank - 1) + (-1,)).astype(as_numpy_dtype(info.dtype), copy=False)
