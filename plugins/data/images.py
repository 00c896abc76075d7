"""A folder of images: one sub-folder a class, or a flat folder without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from studio.api import DataError, Dataset, DatasetReader, Source, TensorInfo

from .files import FilesDataset, Sample
from .layouts import coco_file, folders, has_masks
from .pictures import SUFFIXES, load_picture, picture_format


class ImagesReader(DatasetReader):
    """Reads image files with Pillow, when their turn comes."""

    id = "images"
    title = "folder of images, one sub-folder a class"

    def matches(self, path: Path) -> bool:
        """Say whether it is a folder with an image in it or in a sub-folder, and not one of boxes or masks."""
        if not path.is_dir() or has_masks(path) or coco_file(path) is not None:
            return False
        return any(next(images(folder), None) is not None for folder in (path, *folders(path)))

    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        """Open a folder; class i is the i-th sub-folder by name, empty ones counted.

        Raises
        ------
        DataError
            When the model takes no pictures, or images lie beside class folders.
        """
        wanted = picture_format(inputs, how.preprocess if how else None)
        samples = class_samples(path, images, "images")
        loads = {inputs[0].name: partial(load_picture, wanted=wanted)}
        return FilesDataset(path, loads, samples, preprocessing=wanted.how)


def class_samples(path: Path, files: Callable[[Path], Iterator[Path]], what: str) -> list[Sample]:
    """List a folder's files, with the index of their sub-folder as the class.

    Raises
    ------
    DataError
        When files lie beside class folders.
    """
    loose = sorted(files(path))
    classes = [sorted(files(folder)) for folder in folders(path)]
    if loose and any(classes):
        raise DataError(
            f"{path.name} has {len(loose)} {what} beside its class folders, which belong to no class.",
            "Move them into a class folder or away.",
        )
    samples = [Sample((file,)) for file in loose]
    return samples + [Sample((file,), label) for label, found in enumerate(classes) for file in found]


def images(folder: Path) -> Iterator[Path]:
    """List the image files of a folder, in no order."""
    for item in folder.iterdir():
        if item.suffix.lower() in SUFFIXES and not item.name.startswith(".") and item.is_file():
            yield item
