"""Reading image files as an input wants them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import DataError, TensorInfo, as_numpy_dtype, has_batch_axis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
#: Height and width where the model takes any.
DYNAMIC = 224


@dataclass(frozen=True)
class PictureFormat:
    """How an input wants its pictures.

    Attributes
    ----------
    channels
        1 for grayscale, 3 for red, green, blue.
    channels_first
        Whether a sample is ``(channels, height, width)``, else ``(height, width, channels)``.
    dtype
        A float type: values are scaled to [0, 1]; or uint8: values are 0 to 255.
    """

    channels: int
    height: int
    width: int
    channels_first: bool
    dtype: np.dtype[Any]


def picture_format(inputs: Sequence[TensorInfo]) -> PictureFormat:
    """Read from a model's inputs how it wants pictures; a dynamic height or width is 224.

    Raises
    ------
    DataError
        When there is more than one input, or it takes no pictures.
    """
    info = inputs[0]
    if len(inputs) != 1:
        raise DataError(
            f"The model has {len(inputs)} inputs; images can feed only one.", "Give arrays, as .npz, for such a model."
        )
    dtype = as_numpy_dtype(info.dtype)
    if dtype.name not in ("float32", "float16", "float64", "bfloat16", "uint8"):
        raise _no_picture(info)
    shape = info.shape or ()
    # [1, 28, 28] may be a batch of one or one channel: for a picture it is the channel
    rest = shape if len(shape) == 3 else shape[1:] if has_batch_axis(inputs, info.name) else ()
    if len(rest) != 3 or 0 in rest:
        raise _no_picture(info)
    first, middle, last = (size if isinstance(size, int) else DYNAMIC for size in rest)
    if first in (1, 3):
        return PictureFormat(first, middle, last, True, dtype)
    if last in (1, 3):
        return PictureFormat(last, first, middle, False, dtype)
    raise _no_picture(info)


def load_picture(path: Path, wanted: PictureFormat) -> NDArray[Any]:
    """Read an image: upright as its EXIF says, scaled to cover the wanted size and cropped at the centre.

    Returns
    -------
    ndarray
        One sample, in the shape and type of the format.

    Raises
    ------
    DataError
        When it is damaged, no image, or too large to unpack safely.
    """
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                upright = ImageOps.exif_transpose(opened)
                plain = _plain(upright, "L" if wanted.channels == 1 else "RGB")
                fitted = ImageOps.fit(plain, (wanted.width, wanted.height), Image.Resampling.BILINEAR)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{path.name} is too large to unpack safely.", "Scale it down or remove it.") from None
    except UnidentifiedImageError:
        raise DataError(f"{path.name} is not an image.", "Remove it from the data.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path.name} cannot be read as an image: {error}.", "Save it again or remove it.") from None
    pixels = np.asarray(fitted).reshape(wanted.height, wanted.width, wanted.channels)
    if wanted.channels_first:
        pixels = pixels.transpose(2, 0, 1)
    if wanted.dtype.name != "uint8":
        pixels = pixels.astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(pixels.astype(wanted.dtype, copy=False))


def _plain(image: Image, mode: str) -> Image:
    """Convert to 8-bit grayscale or colour; 16-bit grayscale keeps its upper 8 bits, transparency is dropped."""
    import numpy as np
    from PIL import Image as pillow

    if image.mode.startswith("I;16"):
        image = pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ValueError(f"its pixels are of mode {image.mode}, whose range is unknown")
    elif image.mode == "P":
        image = image.convert("RGBA")
    return image.convert(mode)


def _no_picture(info: TensorInfo) -> DataError:
    shape = "unknown" if info.shape is None else f"[{', '.join(str(size or '?') for size in info.shape)}]"
    return DataError(
        f"The input {info.name!r} takes no pictures: it is {info.dtype} of shape {shape}, not [batch, 1 or 3, height, "
        "width] or [batch, height, width, 1 or 3] of a float type or uint8.",
        "Give arrays, as .npz, for this model.",
    )
