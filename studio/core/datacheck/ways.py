"""Other ways to read the same data: the mistakes that people make, undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.core.datacheck.findings import InputStatistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: mean and deviation of ImageNet's training pictures, red, green, blue, of values from 0 to 1
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Change = Callable[["NDArray[Any]"], "NDArray[Any]"]


@dataclass(frozen=True)
class Way:
    """A way to read the data.

    Attributes
    ----------
    name
        As in "the model does better when the data is NAME".
    change
        Turns a batch, first axis the samples, into what the model would be fed then.
    louder
        Whether it enlarges values, which makes a model sure of itself however wrong it is.
    """

    name: str
    change: Change
    louder: bool = False


def _as_is(array: NDArray[Any]) -> NDArray[Any]:
    return array


AS_GIVEN = Way("as given", _as_is)


def other_ways(given: InputStatistics) -> list[Way]:
    """List the ways that could be meant, judging by the values and the shape.

    Parameters
    ----------
    given
        A float input; pictures have rank 4 with 1 or 3 channels.
    """
    axis = channel_axis(given.shape)
    ways = _scales(given)
    if axis is not None:
        if given.shape[axis] == 3:
            ways += [Way("read with red and blue swapped", lambda x: _swapped(x, axis)), *_normalized(given, axis)]
            ways += _laid_out(axis)
        else:
            ways.append(Way("inverted, dark for light", lambda x: given.low + given.high - x))
        sides = [index for index in range(1, 4) if index != axis]
        if given.shape[sides[0]] == given.shape[sides[1]]:
            ways.append(Way("read with rows and columns swapped", lambda x: x.swapaxes(*sides)))
    return [Way(way.name, _same_type(way.change), way.louder) for way in ways]


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Find the axis of a picture's channels in a batch's shape; None when it is no picture."""
    if len(shape) != 4:
        return None
    return next((axis for axis in (1, 3) if shape[axis] in (1, 3)), None)


def _scales(given: InputStatistics) -> list[Way]:
    """Undo what scaling was forgotten or done twice."""
    ways = []
    if given.high > 2 and (given.low >= -1e-6 or given.high > 30):
        ways.append(Way("divided by 255", lambda x: x / 255))
    if given.low >= -1e-6 and given.high > 2:
        ways.append(Way("scaled from 0..255 to -1..1", lambda x: x / 127.5 - 1))
    if given.low >= -1e-6 and given.high <= 1.01:
        ways.append(Way("multiplied by 255", lambda x: x * 255, louder=True))
        ways.append(Way("scaled from 0..1 to -1..1", lambda x: 2 * x - 1))
    if -1.01 <= given.low < -0.2 and given.high <= 1.01:
        ways.append(Way("scaled from -1..1 to 0..1", lambda x: (x + 1) / 2))
        ways.append(Way("scaled from -1..1 to 0..255", lambda x: (x + 1) * 127.5, louder=True))
    return ways


def _normalized(given: InputStatistics, axis: int) -> list[Way]:
    """Do or undo the mean and deviation of ImageNet."""
    import numpy as np

    shape = [1] * 4
    shape[axis] = 3
    mean, deviation = (np.array(values).reshape(shape) for values in (MEAN, DEVIATION))
    if given.low >= -1e-6:
        most = 255.0 if given.high > 2 else 1.0
        name = "normalized by ImageNet's mean and deviation"
        return [Way(name, lambda x: (x / most - mean) / deviation, louder=most == 1.0)]
    if given.low > -3.5 and given.high < 3.5 and given.low < -0.5:
        return [
            Way("taken back from ImageNet's normalization to 0..1", lambda x: x * deviation + mean),
            Way("taken back from ImageNet's normalization to 0..255", lambda x: 255 * (x * deviation + mean), True),
        ]
    return []


def _laid_out(axis: int) -> list[Way]:
    """Undo a reshape where a transposition was due."""

    def channels_last(x: NDArray[Any]) -> NDArray[Any]:
        n, c, h, w = x.shape
        return x.reshape(n, h, w, c).transpose(0, 3, 1, 2)

    def channels_first(x: NDArray[Any]) -> NDArray[Any]:
        n, h, w, c = x.shape
        return x.reshape(n, c, h, w).transpose(0, 2, 3, 1)

    change = channels_last if axis == 1 else channels_first
    return [Way("transposed between NCHW and NHWC instead of reshaped", change)]


def _swapped(array: NDArray[Any], axis: int) -> NDArray[Any]:
    import numpy as np

    return np.flip(array, axis)


def _same_type(change: Change) -> Change:
    def changed(array: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        return np.ascontiguousarray(change(array), dtype=array.dtype)

    return changed
