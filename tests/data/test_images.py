from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from studio.core.errors import DataError
from studio.core.runtime import TensorInfo
from tests.core.engines import tensor
from tests.data.readers import IDS, opened, read

COLOUR = tensor("image", "batch", 3, 8, 8)
GRAY = tensor("image", "batch", 1, 8, 8)


def picture(path: Path, colour: int | tuple[int, ...] = 255, size: tuple[int, int] = (8, 8), mode: str = "L") -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new(mode, size, colour).save(path)


def only(path: Path, info: TensorInfo) -> NDArray[np.float32]:
    found: NDArray[np.float32] = read(opened(path, info))["image"]
    return found


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, shade in (("cat", 10), ("ant", 20), ("dog", 30)):
        picture(tmp_path / name / "b.png", shade)
        picture(tmp_path / name / "a.PNG", shade + 1)
    (tmp_path / "bee").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "readme.txt").touch()
    data = opened(tmp_path, GRAY)
    found = read(data)
    assert (data.samples, data.labelled) == (6, True)
    assert found["labels"].tolist() == [0, 0, 2, 2, 3, 3]  # the empty class counts
    assert np.allclose(found["image"][:, 0, 0, 0] * 255, [21, 20, 11, 10, 31, 30])


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    picture(tmp_path / "b.png", 2)
    picture(tmp_path / "a.jpg", 1)
    data = opened(tmp_path, GRAY)
    assert not data.labelled
    assert np.allclose(read(data)["image"][:, 0, 0, 0] * 255, [1, 2])


@pytest.mark.parametrize(
    ("info", "shape"),
    [
        (COLOUR, (1, 3, 8, 8)),
        (tensor("image", "batch", 8, 8, 3), (1, 8, 8, 3)),
        (GRAY, (1, 1, 8, 8)),
        (tensor("image", None, 3, "h", "w"), (1, 3, 224, 224)),
        (tensor("image", "batch", 3, 4, 6), (1, 3, 4, 6)),
        (tensor("image", 3, 16, 16), (1, 3, 16, 16)),
    ],
)
def test_size_channels_and_layout_are_the_models(tmp_path: Path, info: TensorInfo, shape: tuple[int, ...]) -> None:
    picture(tmp_path / "a.png", (255, 0, 51), (20, 10), "RGB")
    values = only(tmp_path, info)
    assert values.shape == shape
    assert values.dtype == np.float32
    pixel = values.reshape(-1, 3)[0] if shape[-1] == 3 else values[0, :, 0, 0]
    expected = [1, 0, 0.2] if 3 in (shape[1], shape[-1]) else [0.32]
    assert np.allclose(pixel, expected, atol=0.01)


def test_8_bit_inputs_get_the_pixels_themselves(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", (255, 0, 51), mode="RGB")
    values = only(tmp_path, tensor("image", "batch", 8, 8, 3, dtype="uint8"))
    assert values.dtype == np.uint8
    assert values[0, 0, 0].tolist() == [255, 0, 51]


def test_the_centre_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert only(tmp_path, GRAY).min() == 1


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    half = np.zeros((8, 8), np.uint8)
    half[:, 4:] = 255
    image = Image.fromarray(half)
    exif = image.getexif()
    exif[274] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    values = only(tmp_path, GRAY)[0, 0]
    assert values[0].max() == 0
    assert values[7].min() == 1


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 255, 255, 0), 1.0),
        ("P", 0, 0.0),
        ("1", 1, 1.0),
        ("CMYK", (0, 0, 0, 255), 0.0),
        ("LA", (51, 9), 0.2),
    ],
)
def test_other_modes_are_converted(tmp_path: Path, mode: str, colour: int | tuple[int, ...], expected: float) -> None:
    picture(tmp_path / f"a.{'tif' if mode == 'CMYK' else 'png'}", colour, mode=mode)
    assert np.allclose(only(tmp_path, COLOUR), expected, atol=0.01)


def test_16_bits_are_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 51 * 256 + 7, np.uint16)).save(tmp_path / "a.png")
    assert np.allclose(only(tmp_path, GRAY), 0.2)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((GRAY, IDS), "The model has 2 inputs; images can feed only one"),
        ((tensor("x", "batch", 10),), r"takes no pictures: it is float32 of shape \[batch, 10\]"),
        ((tensor("x", "batch", 5, 8, 8),), r"takes no pictures: .* \[batch, 5, 8, 8\]"),
        ((tensor("x", "batch", 3, 8, 8, dtype="int64"),), "takes no pictures: it is int64"),
        ((TensorInfo(name="x", dtype="float32", shape=None),), "of shape unknown"),
    ],
)
def test_models_that_take_no_pictures(tmp_path: Path, inputs: tuple[TensorInfo, ...], message: str) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(DataError, match=message):
        opened(tmp_path, *inputs)


def test_images_beside_class_folders_belong_to_no_class(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "cat" / "a.png")
    with pytest.raises(DataError, match="has 1 images beside its class folders"):
        opened(tmp_path, GRAY)


def test_files_that_are_no_images(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", size=(64, 64))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(b"text")
    data = opened(tmp_path, GRAY)
    with pytest.raises(DataError, match=r"b\.png is not an image"):
        read(data)
    (tmp_path / "b.png").write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"b\.png cannot be read as an image"):
        read(data)


def test_pictures_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png", size=(64, 64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="too large to unpack safely"):
        opened(tmp_path, GRAY)


def test_the_digest_is_of_contents_and_classes(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png", 1)
    picture(tmp_path / "b" / "2.png", 2)
    first = opened(tmp_path, GRAY).digest()
    assert opened(tmp_path, GRAY).digest() == first
    picture(tmp_path / "b" / "2.png", 3)
    assert opened(tmp_path, GRAY).digest() != first
