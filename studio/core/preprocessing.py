"""How pictures become a model's input: the value that projects, recipes and bundles carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from studio.core.errors import UsageError, nearest
from studio.core.frozen import Frozen

Resize = Literal["cover", "contain", "stretch", "none"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]
Order = Literal["rgb", "bgr"]
Layout = Literal["auto", "nchw", "nhwc"]
ValueType = Literal["auto", "float32", "float16", "uint8", "int8"]

#: what the red, green and blue of ImageNet's training pictures are on average, of 1, and how they scatter
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Preprocessing(Frozen):
    """What is done to a picture before a model sees it.

    In this order: turned upright, resized, cut or padded to the model's height and width, its channels
    ordered, then each value computed as ``(pixel * scale - mean) / std``, of pixels from 0 to 255.

    Attributes
    ----------
    resize
        ``"cover"``: keep the shape and cover the model's height and width, the rest is cut off evenly;
        ``"contain"``: keep the shape and fit inside, the rest is filled with `pad`; ``"stretch"``: both
        sides as the model wants them; ``"none"``: pictures have the right size already.
    crop
        With ``"cover"`` and ``"stretch"``: share of the resized picture's side that the centre crop
        keeps. 0.875 is torchvision's 224 of 256.
    interpolation
        How pixels are resampled; antialiased when scaling down, as Pillow does.
    pad
        Pixel value, 0 to 255, of what ``"contain"`` fills.
    order
        Order of the colour channels.
    scale
        Factor of the pixel's value; None is 1/255, or 1 for a model that takes integers.
    mean, std
        For each channel in the order of `order`, or one for all; none when empty. In units of the
        scaled pixel.
    layout
        ``"auto"`` reads it from the model's input: where the 1 or 3 channels stand.
    dtype
        ``"auto"`` is that of the model's input. Integers are rounded and limited to what the type holds.
    """

    resize: Resize = "cover"
    crop: float = Field(default=1.0, gt=0, le=1)
    interpolation: Interpolation = "bilinear"
    pad: int = Field(default=0, ge=0, le=255)
    order: Order = "rgb"
    scale: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: Layout = "auto"
    dtype: ValueType = "auto"

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (0, 1, 3):
                raise ValueError(f"{name} has {len(values)} values; give one, or one for each of 3 channels")
            if any(value != value or abs(value) == float("inf") for value in values):
                raise ValueError(f"{name} must be finite")
        if any(value <= 0 for value in self.std):
            raise ValueError("std must be above 0")
        return self

    def affine(self, channels: int, *, integers: bool = False) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Give multiplier and offset of each channel: ``value = pixel * multiplier + offset``, pixels 0 to 255.

        Parameters
        ----------
        channels
            1 or 3; values for three channels are averaged for one.
        integers
            Whether the model's input is of an integer type, where `scale` is 1 unless it is given.
        """
        scale = self.scale if self.scale is not None else 1.0 if integers else 1 / 255
        mean, std = _each(self.mean, channels, 0.0), _each(self.std, channels, 1.0)
        multiplier = tuple(scale / deviation for deviation in std)
        offset = tuple(-average / deviation for average, deviation in zip(mean, std, strict=True))
        return multiplier, offset

    def raw(self) -> Preprocessing:
        """Give what is left to do when scale, mean and std are computed inside the model: pixels 0 to 255."""
        return self.model_copy(update={"scale": 1.0, "mean": (), "std": ()})

    @property
    def normalizes(self) -> bool:
        """Whether values are anything else than the pixel's own, 0 to 255."""
        return self.scale != 1.0 or any(self.mean) or any(value != 1 for value in self.std)


_CROP: dict[str, Any] = {"resize": "cover", "crop": 0.875}
#: Ways to prepare pictures that many models were trained with, by name.
PRESETS: Mapping[str, Preprocessing] = {
    "unit": Preprocessing(),
    "raw": Preprocessing(scale=1.0),
    "signed": Preprocessing(scale=1 / 127.5, mean=(1.0,)),
    "imagenet": Preprocessing(**_CROP, scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "inception": Preprocessing(**_CROP, interpolation="bicubic", scale=1 / 255, mean=(0.5,), std=(0.5,)),
    "efficientnet-lite": Preprocessing(**_CROP, interpolation="bicubic", scale=1.0, mean=(127.0,), std=(128.0,)),
    "caffe": Preprocessing(**_CROP, order="bgr", scale=1.0, mean=(103.939, 116.779, 123.68)),
    "clip": Preprocessing(
        interpolation="bicubic",
        scale=1 / 255,
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
    ),
    "letterbox": Preprocessing(resize="contain", pad=114, scale=1 / 255),
}


def parse_preprocessing(text: str) -> Preprocessing:
    """Read ``PRESET[:key=value,...]`` or ``key=value,...``; several values are joined by ``|``.

    A number may be a quotient: ``scale=1/255``.

    Raises
    ------
    UsageError
        For an unknown preset or key, or a value that it cannot have.
    """
    name, colon, rest = text.strip().partition(":")
    if not colon and "=" in name:
        name, rest = "unit", name
    if name not in PRESETS:
        raise UsageError(f"There is no preprocessing {name!r}.", nearest(name, PRESETS))
    changes: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in Preprocessing.model_fields:
            hint = nearest(key, Preprocessing.model_fields) if equals else "Write imagenet:crop=1,order=bgr."
            raise UsageError(f"--preprocess {text!r}: there is no {part.strip()!r}.", hint)
        changes[key] = _value(key, value, text)
    try:
        return Preprocessing.model_validate({**PRESETS[name].model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(item) for item in first["loc"][:1]) or "it"
        raise UsageError(
            f"--preprocess {text!r}: {where} is not valid: {str(first['msg']).removeprefix('Value error, ')}.",
            "'burnish evaluate --help' and the help page 'preprocessing' show the values.",
        ) from None


def preprocessing_text(value: Preprocessing) -> str:
    """Write a preprocessing as `parse_preprocessing` reads it: the preset that needs the fewest changes."""
    names = list(PRESETS)
    changes = [_changes(PRESETS[name], value) for name in names]
    best = min(range(len(names)), key=lambda index: len(changes[index]))
    listed = ",".join(f"{key}={_text(item)}" for key, item in changes[best].items())
    return f"{names[best]}:{listed}" if listed else names[best]


def _changes(preset: Preprocessing, value: Preprocessing) -> dict[str, Any]:
    known, wanted = preset.model_dump(), value.model_dump()
    return {key: item for key, item in wanted.items() if known[key] != item}


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return "|".join(repr(item) for item in value) if isinstance(value, tuple) else str(value)


def _value(key: str, text: str, whole: str) -> Any:
    if key in ("mean", "std"):
        return [_number(part, whole) for part in text.split("|") if part and part != "none"]
    if key in ("scale", "crop"):
        return None if text == "none" else _number(text, whole)
    return text


def _number(text: str, whole: str) -> float:
    above, slash, below = text.partition("/")
    try:
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--preprocess {whole!r}: {text!r} is not a number.", "Write 0.5 or 1/255.") from None


def _each(values: tuple[float, ...], channels: int, default: float) -> tuple[float, ...]:
    if not values:
        return (default,) * channels
    if len(values) == channels:
        return values
    return (sum(values) / len(values),) * channels
