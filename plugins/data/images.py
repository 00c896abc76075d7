"""A folder of images: one sub-folder a class, or a flat folder without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from studio.api import DataError, Dataset, DatasetReader, TensorInfo

from .files import FilesDataset, Sample
from .pictures import SUFFIXES, load_picture, picture_format


class ImagesReader(DatasetReader):
    """Reads image files with Pillow, when their turn comes."""

    id = "images"
    title = "folder of images, one sub-folder a class"

    def matches(self, path: Path) -> bool:
        """Say whether it is a folder with an image in it or in a sub-folder."""
        if not path.is_dir():
            return False
        return any(next(_images(folder), None) is not None for folder in (path, *_folders(path)))

    def open(self, path: Path, inputs: Sequence[TensorInfo]) -> Dataset:
        """Open a folder; class i is the i-th sub-folder by name, empty ones counted.

        Raises
        ------
        DataError
            When the model takes no pictures, or images lie beside class folders.
        """
        wanted = picture_format(inputs)
        loose = sorted(_images(path))
        classes = [sorted(_images(folder)) for folder in _folders(path)]
        if loose and any(classes):
            raise DataError(
                f"{path.name} has {len(loose)} images beside its class folders, which belong to no class.",
                "Move them into a class folder or away.",
            )
        samples = [Sample((file,)) for file in loose]
        samples += [Sample((file,), label) for label, files in enumerate(classes) for file in files]
        return FilesDataset(path, {inputs[0].name: partial(load_picture, wanted=wanted)}, samples)


def _folders(path: Path) -> list[Path]:
    return sorted(item for item in path.iterdir() if item.is_dir() and not item.name.startswith("."))


def _images(folder: Path) -> Iterator[Path]:
    for item in folder.iterdir():
        if item.suffix.lower() in SUFFIXES and not item.name.startswith(".") and item.is_file():
            yield item
