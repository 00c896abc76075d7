"""Reading a picture as a preprocessing says.

This module imports nothing of Burnish and only numpy and Pillow: bundles carry a copy of it, so that
what runs on the target is what was measured here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

#: Endings of the files that are pictures.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")


class PictureError(Exception):
    """A file that is no picture or is damaged: what is wrong, and what to do."""


def read_picture(
    path: Path, how: Mapping[str, Any], channels: int, height: int, width: int, *, first: bool, dtype: str
) -> NDArray[Any]:
    """Read and prepare a picture.

    Parameters
    ----------
    how
        The fields of a preprocessing: resize, crop, interpolation, pad, order, scale, mean, std.
    channels
        1 for grayscale, 3 for colour.
    first
        Whether the channels are the first axis, else the last.
    dtype
        Name of an integer type, which values are rounded and limited to; else float32 is given.

    Returns
    -------
    ndarray
        One sample: ``(channels, height, width)`` or ``(height, width, channels)``.

    Raises
    ------
    PictureError
        When it is damaged, no picture, or too large to unpack safely.
    """
    with open_picture(path, "L" if channels == 1 else "RGB") as plain:
        fitted = fit(plain, how, height, width)
    return values(fitted, how, channels, first=first, dtype=dtype)


def open_picture(path: Path, mode: str) -> Image:
    """Open a picture, turned upright as its EXIF says, as 8-bit ``"L"`` or ``"RGB"``.

    Raises
    ------
    PictureError
        When it is damaged, no picture, or too large to unpack safely.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                return _plain(ImageOps.exif_transpose(opened), mode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"{path.name} is too large to unpack safely.", "Scale it down or remove it.") from None
    except UnidentifiedImageError:
        raise PictureError(f"{path.name} is not an image.", "Remove it from the data.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError(f"{path.name} cannot be read as an image: {error}.", "Save it again or remove it.") from None


def fit(picture: Image, how: Mapping[str, Any], height: int, width: int, *, nearest: bool = False) -> Image:
    """Bring a picture to a height and width.

    Parameters
    ----------
    nearest
        Whether to take pixels as they are, as masks of classes need, whatever the interpolation.

    Raises
    ------
    PictureError
        When it is not to be resized and has another size.
    """
    from PIL import Image, ImageOps

    method = Image.Resampling.NEAREST if nearest else Image.Resampling[str(how["interpolation"]).upper()]
    kind, pad = how["resize"], 0 if nearest else int(how["pad"])
    if kind == "contain":
        fill: Any = pad if len(picture.getbands()) == 1 else (pad,) * len(picture.getbands())
        return ImageOps.pad(picture, (width, height), method, color=fill)
    if kind == "none":
        if picture.size != (width, height):
            raise PictureError(
                f"A picture is {picture.height} x {picture.width}, but the model wants {height} x {width}.",
                "Choose a resize: cover, contain or stretch.",
            )
        return picture
    tall, wide = _resized(picture.width, picture.height, how, height, width)
    resized = picture.resize((wide, tall), method) if picture.size != (wide, tall) else picture
    top, left = round((tall - height) / 2), round((wide - width) / 2)
    return resized.crop((left, top, left + width, top + height))


def picture_geometry(
    across: int, down: int, how: Mapping[str, Any], height: int, width: int
) -> tuple[float, float, float, float]:
    """Say where `fit` puts the pixels of a picture of `across` x `down`.

    Returns
    -------
    tuple
        ``(scale_x, scale_y, left, top)``: a point (x, y) of the picture comes to ``x * scale_x + left``,
        ``y * scale_y + top``.
    """
    if how["resize"] == "none":
        return 1.0, 1.0, 0.0, 0.0
    if how["resize"] == "contain":
        scale = min(width / across, height / down)
        wide, tall = round(across * scale), round(down * scale)
        return wide / across, tall / down, float(round((width - wide) / 2)), float(round((height - tall) / 2))
    tall, wide = _resized(across, down, how, height, width)
    return wide / across, tall / down, -float(round((wide - width) / 2)), -float(round((tall - height) / 2))


def _resized(across: int, down: int, how: Mapping[str, Any], height: int, width: int) -> tuple[int, int]:
    """Give height and width that a picture is resized to before its centre is cut out."""
    crop = float(how["crop"])
    tall, wide = round(height / crop), round(width / crop)
    if how["resize"] == "cover":
        scale = max(tall / down, wide / across)
        # as torchvision: the longer side is rounded down
        tall, wide = max(tall, math.floor(down * scale + 1e-6)), max(wide, math.floor(across * scale + 1e-6))
    return tall, wide


def values(picture: Image, how: Mapping[str, Any], channels: int, *, first: bool, dtype: str) -> NDArray[Any]:
    """Give the values of a picture that has the model's size; see `read_picture`."""
    import numpy as np

    pixels = np.asarray(picture).reshape(picture.height, picture.width, channels)
    if how["order"] == "bgr" and channels == 3:
        pixels = pixels[:, :, ::-1]
    integers = "int" in dtype
    scale = how["scale"] if how["scale"] is not None else 1.0 if integers else 1 / 255
    mean, std = _each(how["mean"], channels, 0.0), _each(how["std"], channels, 1.0)
    if integers and scale == 1 and not any(mean) and set(std) == {1.0} and dtype == "uint8":
        made: NDArray[Any] = pixels
    else:
        made = (pixels.astype(np.float32) * np.float32(scale) - np.array(mean, np.float32)) / np.array(std, np.float32)
        if integers:
            limits = np.iinfo(dtype)
            made = np.clip(np.rint(made), limits.min, limits.max).astype(dtype)
    return np.ascontiguousarray(made.transpose(2, 0, 1) if first else made)


def _each(given: Any, channels: int, default: float) -> list[float]:
    numbers = [float(value) for value in given] or [default]
    return numbers if len(numbers) == channels else [sum(numbers) / len(numbers)] * channels


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


def pixels_source() -> bytes:
    """Give the text of this module, to go with a bundle."""
    return Path(__file__).read_bytes()
