from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.core.errors import DataError
from studio.core.preprocessing import parse_preprocessing
from tests.core.engines import tensor
from tests.data.readers import opened

COLOUR = tensor("image", "batch", 3, 20, 20)


def coco(folder: Path, **changes: Any) -> Path:
    """A folder with a picture of 80 x 40 with a white box, and annotations."""
    (folder / "images").mkdir(parents=True)
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[8:24, 36:52] = 255
    Image.fromarray(pixels).save(folder / "images" / "a.png")
    Image.fromarray(pixels).save(folder / "images" / "b.png")
    table = {
        "images": [{"id": 5, "file_name": "b.png"}, {"id": 3, "file_name": "a.png"}],
        "categories": [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat"}],
        "annotations": [
            {"image_id": 3, "category_id": 9, "bbox": [36, 8, 16, 16]},
            {"image_id": 3, "category_id": 4, "bbox": [0, 0, 4, 4]},
            {"image_id": 3, "category_id": 4, "bbox": [36, 8, 16, 16], "iscrowd": 1},
        ],
    }
    (folder / "annotations.json").write_text(json.dumps({**table, **changes}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("how", ["raw", "raw:crop=0.8", "letterbox:scale=1,pad=0", "raw:resize=stretch"])
def test_boxes_go_where_the_preprocessing_puts_the_pixels(tmp_path: Path, how: str) -> None:
    data = opened(coco(tmp_path / "set"), COLOUR, preprocess=parse_preprocessing(how))
    assert (data.samples, data.label_kind) == (2, "boxes")
    batch = next(iter(data.batches(2)))
    assert batch.labels is not None
    dog = batch.labels[0][batch.labels[0][:, 4] == 1][0]
    rows, columns = np.nonzero(batch.feeds["image"][0, 0] > 127)
    assert np.allclose(dog[:4], [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=1.01)
    assert batch.labels[1].shape == (0, 5)
    assert data.notes == ("1 crowd boxes of annotations.json are left out.",)


def test_boxes_that_are_cut_away_are_left_out(tmp_path: Path) -> None:
    batch = next(iter(opened(coco(tmp_path / "set"), COLOUR).batches(2)))
    assert batch.labels is not None
    assert batch.labels[0][:, 4].tolist() == [1]  # the cat lay in the corner


def test_annotations_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'lost\.png' of the annotations is not there"):
        opened(coco(tmp_path / "lost", images=[{"id": 3, "file_name": "lost.png"}]), COLOUR)
    with pytest.raises(DataError, match="is no COCO annotations file: 8 is missing"):
        bad = [{"image_id": 3, "category_id": 8, "bbox": [1, 1, 1, 1]}]
        opened(coco(tmp_path / "category", annotations=bad), COLOUR)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "annotations.json").write_text("no", encoding="utf-8")
    with pytest.raises(DataError, match="is no COCO annotations file"):
        opened(tmp_path / "text", COLOUR)


def masks(folder: Path, mask: Image.Image) -> Path:
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    Image.new("RGB", (80, 40)).save(folder / "images" / "a.jpg")
    mask.save(folder / "masks" / "a.png")
    return folder


def test_masks_keep_their_classes_and_follow_the_picture(tmp_path: Path) -> None:
    values = np.zeros((40, 80), np.uint8)
    values[:, 40:] = 7
    values[:2] = 255
    data = opened(masks(tmp_path / "set", Image.fromarray(values)), COLOUR)
    labels = next(iter(data.batches(1))).labels
    assert data.label_kind == "mask"
    assert labels is not None
    assert labels[0].shape == (20, 20)
    assert set(np.unique(labels[0])) == {-1, 0, 7}
    assert (labels[0][2:, :10] == 0).all()
    assert (labels[0][2:, 10:] == 7).all()


def test_masks_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png is of mode RGB, not class indices"):
        list(opened(masks(tmp_path / "rgb", Image.new("RGB", (80, 40))), COLOUR).batches(1))
    folder = masks(tmp_path / "none", Image.new("L", (80, 40)))
    (folder / "masks" / "a.png").unlink()
    with pytest.raises(DataError, match=r"masks holds no mask for a\.jpg"):
        opened(folder, COLOUR)


def test_the_digest_is_of_the_masks_too(tmp_path: Path) -> None:
    first = opened(masks(tmp_path / "a", Image.new("L", (80, 40), 1)), COLOUR).digest()
    assert first != opened(masks(tmp_path / "b", Image.new("L", (80, 40), 2)), COLOUR).digest()
