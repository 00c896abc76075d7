from __future__ import annotations

import pytest
from pydantic import ValidationError

from studio.core.errors import UsageError
from studio.core.preprocessing import PRESETS, Preprocessing, parse_preprocessing, preprocessing_text


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_read_by_its_name_and_written_so(name: str) -> None:
    assert parse_preprocessing(name) == PRESETS[name]
    assert preprocessing_text(PRESETS[name]) == name


def test_a_preset_is_changed_by_keys() -> None:
    found = parse_preprocessing("imagenet:crop=1,order=bgr,mean=1|2|3,scale=1/255")
    assert found == PRESETS["imagenet"].model_copy(
        update={"crop": 1.0, "order": "bgr", "mean": (1.0, 2.0, 3.0), "scale": 1 / 255}
    )
    assert parse_preprocessing("scale=none,pad=114") == Preprocessing(pad=114)


@pytest.mark.parametrize("text", ["imagenet:crop=0.9", "caffe:std=2", "letterbox:mean=0.1|0.2|0.3,scale=none", "raw"])
def test_what_is_written_reads_the_same(text: str) -> None:
    value = parse_preprocessing(text)
    assert parse_preprocessing(preprocessing_text(value)) == value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("imagnet", "'imagenet'"),
        ("imagenet:meen=1", "'mean'"),
        ("imagenet:crop", "crop"),
        ("imagenet:crop=2", "crop"),
        ("imagenet:mean=1|2", "2 values"),
        ("imagenet:std=0", "above 0"),
        ("scale=1/0", "number"),
        ("resize=crop", "resize"),
    ],
)
def test_what_is_wrong_is_said(text: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_preprocessing(text)
    assert part in str(caught.value)
    assert caught.value.hint.endswith((".", "?"))


def test_the_affine_map_is_that_of_torchvision() -> None:
    multiplier, offset = PRESETS["imagenet"].affine(3)
    for channel, (mean, std) in enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)):
        assert 200 * multiplier[channel] + offset[channel] == pytest.approx((200 / 255 - mean) / std)


def test_one_value_serves_all_channels_and_three_are_averaged_for_one() -> None:
    assert PRESETS["signed"].affine(3) == ((1 / 127.5,) * 3, (-1.0,) * 3)
    assert PRESETS["caffe"].affine(1)[1][0] == pytest.approx(-(103.939 + 116.779 + 123.68) / 3)


def test_integers_keep_their_pixels_unless_a_scale_is_given() -> None:
    assert Preprocessing().affine(1, integers=True) == ((1.0,), (0.0,))
    assert Preprocessing().affine(1) == ((1 / 255,), (0.0,))
    assert Preprocessing(scale=0.5).affine(1, integers=True) == ((0.5,), (0.0,))


def test_raw_leaves_geometry_and_order() -> None:
    left = PRESETS["caffe"].raw()
    assert (left.order, left.crop) == ("bgr", 0.875)
    assert not left.normalizes
    assert left.affine(3) == ((1.0,) * 3, (0.0,) * 3)
    assert PRESETS["imagenet"].normalizes


def test_infinite_values_are_refused() -> None:
    with pytest.raises(ValidationError):
        Preprocessing(mean=(float("inf"),))
