"""Pictures prepared as a preprocessing says, against what torchvision's transforms are defined to give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from studio.core.errors import DataError
from studio.core.preprocessing import PRESETS, Preprocessing, parse_preprocessing
from studio.core.runtime import TensorInfo
from tests.core.engines import tensor
from tests.data.readers import opened, read

COLOUR = tensor("image", "batch", 3, 28, 28)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with one picture of 90 x 60 pixels, no two alike."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    return tmp_path / "photos"


def prepared(photos: Path, how: str, info: TensorInfo = COLOUR) -> NDArray[Any]:
    found: NDArray[Any] = read(opened(photos, info, preprocess=parse_preprocessing(how)))["image"]
    first: NDArray[Any] = found[0]
    return first


def test_imagenet_is_what_torchvision_defines(photos: Path) -> None:
    """Resize(32), CenterCrop(28), ToTensor, Normalize, written out."""
    with Image.open(photos / "a.png") as picture:
        small = picture.resize((48, 32), Image.Resampling.BILINEAR)
    crop = np.asarray(small.crop((10, 2, 38, 30)), np.float32) / 255
    wanted = (crop - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    assert np.allclose(prepared(photos, "imagenet"), wanted.transpose(2, 0, 1), atol=1e-5)


def test_the_order_of_channels_is_turned_before_the_mean_is_taken(photos: Path) -> None:
    raw = prepared(photos, "raw:crop=0.875")
    caffe = prepared(photos, "caffe")
    assert np.allclose(caffe[0], raw[2] - np.float32(103.939), atol=1e-3)
    assert np.allclose(caffe[2], raw[0] - np.float32(123.68), atol=1e-3)


def test_signed_reaches_from_minus_one_to_one(photos: Path) -> None:
    raw, signed = prepared(photos, "raw"), prepared(photos, "signed")
    assert np.allclose(signed, raw / 127.5 - 1, atol=1e-5)


def test_contain_keeps_all_of_the_picture_and_fills_the_rest(photos: Path) -> None:
    found = prepared(photos, "letterbox:scale=1")
    # 90 x 60 in 28 x 28 is 28 x 19
    assert (found[:, :4] == 114).all()
    assert (found[:, 24:] == 114).all()
    with Image.open(photos / "a.png") as picture:
        inner = np.asarray(picture.resize((28, 19), Image.Resampling.BILINEAR), np.float32).transpose(2, 0, 1)
    assert any(np.array_equal(found[:, top : top + 19], inner) for top in (4, 5))


def test_stretch_uses_all_pixels(photos: Path) -> None:
    with Image.open(photos / "a.png") as picture:
        wanted = np.asarray(picture.resize((28, 28), Image.Resampling.BICUBIC), np.float32)
    assert np.array_equal(prepared(photos, "raw:resize=stretch,interpolation=bicubic"), wanted.transpose(2, 0, 1))


def test_pictures_that_are_not_to_be_resized_must_have_the_size(photos: Path) -> None:
    whole = prepared(photos, "raw:resize=none", tensor("image", "batch", 60, 90, 3))
    with Image.open(photos / "a.png") as picture:
        assert np.array_equal(whole, np.asarray(picture, np.float32))
    with pytest.raises(DataError, match=r"a\.png: A picture is 60 x 90, but the model wants 28 x 28"):
        prepared(photos, "raw:resize=none")


def test_layout_is_what_is_said_where_the_model_does_not_say_it(photos: Path) -> None:
    dynamic = tensor("image", "batch", None, 28, 28)
    assert prepared(photos, "raw:layout=nchw", dynamic).shape == (3, 28, 28)
    assert prepared(photos, "raw:layout=nhwc", tensor("image", "batch", 3, 28, 3)).shape == (3, 28, 3)
    with pytest.raises(DataError, match="takes no pictures"):
        prepared(photos, "raw", dynamic)


def test_integers_are_rounded_and_limited(photos: Path) -> None:
    signed = tensor("image", "batch", 3, 28, 28, dtype="int8")
    raw = prepared(photos, "raw").astype(int)
    assert np.array_equal(prepared(photos, "raw:mean=128", signed), raw - 128)
    assert prepared(photos, "raw:mean=0", signed).max() == 127
    with pytest.raises(DataError, match="The preprocessing gives float32, but the input 'image' is int8"):
        prepared(photos, "raw:dtype=float32", signed)


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_preset_computes_is_its_affine_map(photos: Path, name: str) -> None:
    how = PRESETS[name]
    multiplier, offset = how.affine(3)
    pixels = read(opened(photos, COLOUR, preprocess=how.raw()))["image"][0]
    wanted = pixels * np.reshape(multiplier, (3, 1, 1)) + np.reshape(offset, (3, 1, 1))
    assert np.allclose(read(opened(photos, COLOUR, preprocess=how))["image"][0], wanted, atol=1e-4)


def test_data_carries_its_preprocessing_for_the_bundle(photos: Path, tmp_path: Path) -> None:
    assert opened(photos, COLOUR).preprocessing == Preprocessing()
    assert opened(photos, COLOUR, preprocess=PRESETS["clip"]).preprocessing == PRESETS["clip"]
    np.savez(tmp_path / "data.npz", image=np.zeros((2, 3, 28, 28), np.float32))
    arrays = opened(tmp_path / "data.npz", COLOUR, preprocess=PRESETS["clip"])
    assert arrays.preprocessing == PRESETS["clip"]
    assert any("unprepared" in note for note in arrays.notes)
