"""Reading image files as an input wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import (
    PICTURE_SUFFIXES,
    DataError,
    Dimension,
    PictureError,
    Preprocessing,
    TensorInfo,
    as_numpy_dtype,
    has_batch_axis,
    read_picture,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = frozenset(PICTURE_SUFFIXES)
#: Height and width where the model takes any.
DYNAMIC = 224
FLOATS = ("float32", "float16", "float64", "bfloat16")


@dataclass(frozen=True)
class PictureFormat:
    """How an input wants its pictures.

    Attributes
    ----------
    channels
        1 for grayscale, 3 for colour.
    channels_first
        Whether a sample is ``(channels, height, width)``, else ``(height, width, channels)``.
    dtype
        A float type, uint8 or int8.
    """

    channels: int
    height: int
    width: int
    channels_first: bool
    dtype: np.dtype[Any]
    how: Preprocessing = field(default_factory=Preprocessing)


def picture_format(inputs: Sequence[TensorInfo], how: Preprocessing | None = None) -> PictureFormat:
    """Read from a model's inputs how it wants pictures; a dynamic height or width is 224.

    Raises
    ------
    DataError
        When there is more than one input, or it takes no pictures.
    """
    info, wanted = inputs[0], how or Preprocessing()
    if len(inputs) != 1:
        raise DataError(
            f"The model has {len(inputs)} inputs; images can feed only one.", "Give arrays, as .npz, for such a model."
        )
    dtype = as_numpy_dtype(info.dtype)
    if dtype.name not in (*FLOATS, "uint8", "int8"):
        raise _no_picture(info)
    if wanted.dtype not in ("auto", dtype.name):
        raise DataError(
            f"The preprocessing gives {wanted.dtype}, but the input {info.name!r} is {info.dtype}.",
            "Leave dtype at auto: it is that of the model's input.",
        )
    shape = info.shape or ()
    # [1, 28, 28] may be a batch of one or one channel: for a picture it is the channel
    rest = shape if len(shape) == 3 else shape[1:] if has_batch_axis(inputs, info.name) else ()
    if len(rest) != 3 or 0 in rest:
        raise _no_picture(info)
    first = _channels_first(rest, wanted, info)
    channels, height, width = rest if first else (rest[2], rest[0], rest[1])
    count = channels if isinstance(channels, int) else 3
    if count not in (1, 3):
        raise _no_picture(info)
    return PictureFormat(count, _side(height), _side(width), first, dtype, wanted)


def load_picture(path: Path, wanted: PictureFormat) -> NDArray[Any]:
    """Read an image, prepared as the format says.

    Returns
    -------
    ndarray
        One sample, in the shape and type of the format.

    Raises
    ------
    DataError
        When it is damaged, no image, or too large to unpack safely.
    """
    try:
        found = read_picture(
            path,
            wanted.how.model_dump(),
            wanted.channels,
            wanted.height,
            wanted.width,
            first=wanted.channels_first,
            dtype=wanted.dtype.name,
        )
    except PictureError as error:
        message, hint = error.args
        named = message if path.name in message else f"{path.name}: {message}"
        raise DataError(named, hint) from None
    return found.astype(wanted.dtype, copy=False)


def _channels_first(rest: Sequence[Dimension], how: Preprocessing, info: TensorInfo) -> bool:
    if how.layout != "auto":
        return how.layout == "nchw"
    if rest[0] in (1, 3):
        return True
    if rest[2] in (1, 3):
        return False
    raise _no_picture(info)


def _side(size: Dimension) -> int:
    return size if isinstance(size, int) else DYNAMIC


def _no_picture(info: TensorInfo) -> DataError:
    shape = "unknown" if info.shape is None else f"[{', '.join(str(size or '?') for size in info.shape)}]"
    return DataError(
        f"The input {info.name!r} takes no pictures: it is {info.dtype} of shape {shape}, not [batch, 1 or 3, height, "
        "width] or [batch, height, width, 1 or 3] of a float type, uint8 or int8.",
        "Give arrays, as .npz, for this model.",
    )
