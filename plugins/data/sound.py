"""Reading sound files: WAV by itself, other kinds with the package soundfile."""

from __future__ import annotations

import math
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3"})


def read_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    """Read a sound file.

    Returns
    -------
    tuple
        Samples of all channels averaged, float32 of shape ``(samples,)`` from -1 to 1, and the rate in
        samples a second.

    Raises
    ------
    DataError
        When it is damaged, empty, or of a kind that needs a package that is missing.
    """
    found = _with_soundfile(path)
    if found is None:
        found = _with_wave(path)
    samples, rate = found
    if not len(samples):
        raise DataError(f"{path.name} holds no sound.", "Remove it from the data.")
    return samples.mean(axis=1, dtype="float32"), rate


def resampled(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Resample by a polyphase filter (scipy's), so that what lies above half the rate is filtered out first."""
    import numpy as np

    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    shared = math.gcd(rate, wanted)
    made: NDArray[np.float32] = resample_poly(samples, wanted // shared, rate // shared).astype(np.float32)
    return made


def _with_soundfile(path: Path) -> tuple[NDArray[np.float32], int] | None:
    """Read with soundfile; None when it is not installed."""
    try:
        import soundfile
    except (ImportError, OSError):
        return None
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, RuntimeError, TypeError) as error:
        raise _damaged(path, error) from None
    return samples, int(rate)


def _with_wave(path: Path) -> tuple[NDArray[np.float32], int]:
    import numpy as np

    if path.suffix.lower() != ".wav":
        raise DataError(
            f"Reading {path.name} needs the package soundfile, which is not installed.",
            "pip install 'burnish[audio]'.",
        )
    try:
        with wave.open(str(path), "rb") as stream:
            width, channels, rate = stream.getsampwidth(), stream.getnchannels(), stream.getframerate()
            raw = stream.readframes(stream.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise _damaged(path, error) from None
    raw = raw[: len(raw) // (width * channels) * (width * channels)]
    return _scaled(np.frombuffer(raw, np.uint8), width).reshape(-1, channels), rate


def _scaled(raw: NDArray[np.uint8], width: int) -> NDArray[np.float32]:
    """Turn little-endian bytes of 8 (unsigned) to 32 bits into -1 to 1."""
    import numpy as np

    if width == 1:
        return (raw.astype(np.float32) - np.float32(128)) / np.float32(128)
    padded = np.zeros((len(raw) // width, 4), np.uint8)
    padded[:, 4 - width :] = raw.reshape(-1, width)
    made: NDArray[np.float32] = (padded.reshape(-1).view("<i4").astype(np.float64) / 2**31).astype(np.float32)
    return made


def _damaged(path: Path, error: Any) -> DataError:
    said = str(error).rstrip(".") or "it ends early"
    return DataError(f"{path.name} cannot be read as sound: {said}.", "Save it again or remove it.")
