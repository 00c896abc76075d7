"""Object detection: a folder of images with COCO annotations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import DataError, Dataset, DatasetReader, Source, TensorInfo, picture_geometry

from .files import FilesDataset, Labelling, Sample
from .layouts import IMAGES, coco_file
from .pictures import PictureFormat, load_picture, picture_format

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORM = 'COCO annotations hold "images", "annotations" and "categories".'


class BoxesReader(DatasetReader):
    """Reads pictures with their boxes."""

    id = "boxes"
    title = "folder of images and COCO annotations.json"

    def matches(self, path: Path) -> bool:
        """Say whether it is such a folder."""
        return path.is_dir() and coco_file(path) is not None

    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        """Open a folder; class i is the i-th category by id. Crowd boxes are left out.

        Raises
        ------
        DataError
            When the annotations are not valid, or a picture is not there.
        """
        wanted = picture_format(inputs, how.preprocess if how else None)
        file = coco_file(path)
        assert file is not None
        samples, crowds = _samples(path, file)
        notes = (f"{crowds:,} crowd boxes of {file.name} are left out.",) if crowds else ()
        loads = {inputs[0].name: partial(load_picture, wanted=wanted)}
        labelling = Labelling("boxes", partial(_placed, wanted=wanted))
        return FilesDataset(path, loads, samples, notes, labelling=labelling, preprocessing=wanted.how)


def _samples(path: Path, file: Path) -> tuple[list[Sample], int]:
    """List pictures with their boxes, float64 of shape ``(boxes, 5)``: left, top, right, bottom, class."""
    import numpy as np

    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        classes = {item["id"]: index for index, item in enumerate(sorted(table["categories"], key=lambda c: c["id"]))}
        named = {item["id"]: _picture(path, str(item["file_name"])) for item in table["images"]}
        boxes: dict[Any, list[list[float]]] = {key: [] for key in named}
        crowds = 0
        for item in table["annotations"]:
            if item.get("iscrowd"):
                crowds += 1
                continue
            left, top, width, height = (float(value) for value in item["bbox"])
            boxes[item["image_id"]].append([left, top, left + width, top + height, classes[item["category_id"]]])
    except (ValueError, KeyError, TypeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{file.name} is no COCO annotations file: {what}.", _FORM) from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.", "Check its permissions.") from None
    ordered = sorted(named.items(), key=lambda pair: pair[1])
    return [Sample((place,), np.array(boxes[key], np.float64).reshape(-1, 5)) for key, place in ordered], crowds


def _picture(path: Path, name: str) -> Path:
    for folder in (path / IMAGES, path):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"The picture {name!r} of the annotations is not there.", f"Put it into {path / IMAGES}.")


def _placed(sample: Sample, wanted: PictureFormat) -> NDArray[Any]:
    """Give the boxes where the preprocessing puts them, in pixels of the model's input; those cut away are left out."""
    import numpy as np
    from PIL import Image, ImageOps

    found: NDArray[Any] = np.array(sample.label, np.float64)
    with Image.open(sample.paths[0]) as opened:
        turned = ImageOps.exif_transpose(opened) if opened.getexif().get(0x0112, 1) != 1 else opened
        width, height = turned.size
    scale_x, scale_y, left, top = picture_geometry(width, height, wanted.how.model_dump(), wanted.height, wanted.width)
    found[:, [0, 2]] = np.clip(found[:, [0, 2]] * scale_x + left, 0, wanted.width)
    found[:, [1, 3]] = np.clip(found[:, [1, 3]] * scale_y + top, 0, wanted.height)
    kept: NDArray[Any] = found[(found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1])]
    return kept
