"""Segmentation: a folder ``images`` and a folder ``masks`` with a picture of class indices for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import DataError, Dataset, DatasetReader, PictureError, Source, TensorInfo, fit

from .files import FilesDataset, Labelling, Sample
from .images import images
from .layouts import IMAGES, MASKS, has_masks
from .pictures import PictureFormat, load_picture, picture_format

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: what a mask's pixel is where its class is unknown, as in Pascal VOC and Cityscapes
IGNORED = 255


class MasksReader(DatasetReader):
    """Reads pictures with the mask of the same name."""

    id = "masks"
    title = "folder of images/ and masks/, for segmentation"

    def matches(self, path: Path) -> bool:
        """Say whether it is such a folder."""
        return path.is_dir() and has_masks(path)

    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        """Open a folder; a mask has its picture's name and the class of each pixel as its value, 255 unknown.

        Raises
        ------
        DataError
            When the model takes no pictures, or one has no mask.
        """
        wanted = picture_format(inputs, how.preprocess if how else None)
        masks = {file.stem: file for file in images(path / MASKS)}
        files = sorted(images(path / IMAGES))
        for file in files:
            if file.stem not in masks:
                raise DataError(
                    f"{MASKS} holds no mask for {file.name}.", f"Save it as {MASKS}/{file.stem}.png, or remove it."
                )
        samples = [Sample((file,), masks[file.stem]) for file in files]
        loads = {inputs[0].name: partial(load_picture, wanted=wanted)}
        labelling = Labelling("mask", partial(_mask, wanted=wanted))
        return FilesDataset(path, loads, samples, labelling=labelling, preprocessing=wanted.how)


def _mask(sample: Sample, wanted: PictureFormat) -> NDArray[Any]:
    """Read a mask in the geometry of the model's input, pixels taken as they are; unknown is -1."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    path: Path = sample.label
    try:
        with Image.open(path) as opened:
            if opened.mode not in ("L", "P", "1"):
                raise DataError(
                    f"The mask {path.name} is of mode {opened.mode}, not class indices.",
                    "Save masks as 8-bit grayscale or palette pictures whose values are classes.",
                )
            plain = Image.fromarray(np.asarray(opened).astype(np.uint8))
        fitted = fit(plain, wanted.how.model_dump(), wanted.height, wanted.width, nearest=True)
    except UnidentifiedImageError:
        raise DataError(f"{path.name} is not an image.", "Remove it from the data.") from None
    except PictureError as error:
        raise DataError(f"{path.name}: {error.args[0]}", error.args[1]) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path.name} cannot be read as an image: {error}.", "Save it again or remove it.") from None
    classes = np.asarray(fitted).astype(np.int64)
    classes[classes == IGNORED] = -1
    return classes
