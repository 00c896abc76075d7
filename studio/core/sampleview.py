"""One sample as a person can look at it: a picture, text or numbers; and what models answer to it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from studio.core.classes import class_scores
from studio.core.disagreeing import probabilities
from studio.core.frozen import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: numbers of a tensor that are listed
LISTED = 16
#: sides from which an array with channels is shown as a picture
SMALLEST_SIDE = 8
CLASSES = 5


class InputView(Frozen):
    """An input of a sample.

    Attributes
    ----------
    pixels
        A picture's bytes in base64: rows of red, green, blue; empty for what is no picture.
    text
        Text, that of its tokens where the data knows it; or the first numbers.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    kind: Literal["picture", "text", "values"]
    width: int = 0
    height: int = 0
    pixels: str = ""
    text: str = ""


class Answer(Frozen):
    """An output: the most likely classes with their probabilities, else the first numbers."""

    name: str
    shape: tuple[int, ...]
    classes: tuple[tuple[int, float], ...] = ()
    values: tuple[float, ...] = ()


class SampleView(Frozen):
    """A sample with the answers of a source and its variant; `label` as text, empty without one."""

    index: int
    label: str
    inputs: tuple[InputView, ...]
    before: tuple[Answer, ...]
    after: tuple[Answer, ...]


def view_input(name: str, array: NDArray[Any], words: str = "") -> InputView:
    """Show one input, without its axis of samples.

    `words` is what it says, where that is known. Pictures are arrays of one, three or four channels, first or last;
    their smallest value is shown black and their largest white, since how they were prepared is not known.
    """
    shape, dtype = tuple(array.shape), str(array.dtype)
    plain = _as_picture(array)
    if plain is not None:
        height, width, _ = plain.shape
        pixels = base64.b64encode(plain.tobytes()).decode()
        return InputView(name=name, dtype=dtype, shape=shape, kind="picture", width=width, height=height, pixels=pixels)
    if array.dtype.kind in "OUS":
        return InputView(name=name, dtype=dtype, shape=shape, kind="text", text=" ".join(map(str, array.reshape(-1))))
    if words:
        return InputView(name=name, dtype=dtype, shape=shape, kind="text", text=words)
    flat = array.reshape(-1)
    more = " …" if flat.size > LISTED else ""
    text = ", ".join(f"{value:.4g}" for value in flat[:LISTED].tolist()) + more
    return InputView(name=name, dtype=dtype, shape=shape, kind="values", text=text)


def view_outputs(outputs: Mapping[str, NDArray[Any]]) -> tuple[Answer, ...]:
    """Show a model's outputs for one sample; the first axis is the samples and has one."""
    import numpy as np

    scores = class_scores(outputs)
    answers = []
    for name, array in outputs.items():
        classes: tuple[tuple[int, float], ...] = ()
        if scores is not None and class_scores({name: array}) is not None:
            row = probabilities(scores)[0]
            best = np.argsort(-row, kind="stable")[:CLASSES]
            classes = tuple((int(at), float(row[at])) for at in best)
            scores = None
        numbers = array.reshape(-1)[:LISTED] if array.dtype.kind in "fiub" else ()
        answers.append(
            Answer(name=name, shape=tuple(array.shape), classes=classes, values=tuple(float(one) for one in numbers))
        )
    return tuple(answers)


def _as_picture(array: NDArray[Any]) -> NDArray[Any] | None:
    """Give an array as bytes ``(height, width, 3)``; None when it is no picture."""
    import numpy as np

    if array.ndim != 3 or array.dtype.kind not in "fiu":
        return None
    if array.shape[0] in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.shape[-1] not in (1, 3, 4) or min(array.shape[:2]) < SMALLEST_SIDE:
        return None
    values = np.nan_to_num(array[..., :3].astype(np.float64))
    low, high = values.min(), values.max()
    scaled = np.round(255 * (values - low) / (high - low if high > low else 1)).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(scaled, 3, -1) if scaled.shape[-1] == 1 else scaled)
