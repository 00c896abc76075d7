"""Changes of a model's interface that data must follow: what a step folded into the model, and layouts.

A step that changes how an input or output is laid out or encoded records it in the model itself, so that
data prepared for the original input still fits every model that was made from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from studio.core.frozen import Frozen, canonical_json
from studio.core.modelfile import read_light_proto
from studio.core.runtime import TensorInfo, as_numpy_dtype

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from studio.core.artifact import Artifact

#: key of the model's metadata that holds the changes, as JSON
METADATA = "burnish.interface"


class InterfaceChange(Frozen):
    """How arrays for one input or output before a step become those after it; the name stays.

    The model moves the axes of what it is fed back to where they were, reverses the channels if `reverse`,
    and computes ``(after * scale - mean) / std`` for each channel.

    Attributes
    ----------
    kind
        Whether it is an input or an output of the model. Outputs change their layout alone.
    before, after
        The tensor as it was and as it is.
    order
        Axes of `before` in the order in which `after` has them; empty where they stay.
    channel_axis
        Axis of `before` that `scale`, `mean` and `std` go along.
    reverse
        Whether the channels stand in the opposite order (BGR for RGB). `mean` and `std` are in the
        order of `before`.
    scale
        Factor of what is fed.
    mean, std
        One number for all channels or one for each; none when empty.
    """

    kind: Literal["input", "output"]
    before: TensorInfo
    after: TensorInfo
    order: tuple[int, ...] = ()
    channel_axis: int = 1
    reverse: bool = False
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Name of the input or output."""
        return self.before.name

    def forward(self, array: NDArray[Any]) -> NDArray[Any]:
        """Turn an array for `before` into one for `after`; to an integer type it is rounded and limited.

        An array may have one axis more in front, the samples of an input without a batch axis.
        """
        import numpy as np

        found = array
        if self.scale != 1 or self.mean or self.std:
            wide = array.astype(np.float64)
            found = (wide * self._along(wide, self.std, 1.0) + self._along(wide, self.mean, 0.0)) / self.scale
        if self.reverse:
            found = np.flip(found, self.channel_axis + self._extra(array))
        return np.ascontiguousarray(_as_type(self._moved(found, self.order), self.after.dtype))

    def backward(self, array: NDArray[Any]) -> NDArray[Any]:
        """Turn an array for `after` into one for `before`."""
        import numpy as np

        back = tuple(int(axis) for axis in np.argsort(self.order))
        found = self._moved(array, back)
        if self.reverse:
            found = np.flip(found, self.channel_axis + self._extra(array))
        if self.scale != 1 or self.mean or self.std:
            wide = found.astype(np.float64) * self.scale
            found = (wide - self._along(wide, self.mean, 0.0)) / self._along(wide, self.std, 1.0)
        return np.ascontiguousarray(_as_type(found, self.before.dtype))

    def _moved(self, array: NDArray[Any], order: Sequence[int]) -> NDArray[Any]:
        extra = self._extra(array)
        return array.transpose(*range(extra), *(axis + extra for axis in order)) if order else array

    def _along(self, array: NDArray[Any], values: Sequence[float], default: float) -> NDArray[np.float64]:
        """Shape numbers so that they broadcast along the channels."""
        import numpy as np

        after = len(self.before.shape or ()) - 1 - self.channel_axis
        return np.asarray(values or (default,), dtype=np.float64).reshape(-1, *[1] * after)

    def _extra(self, array: NDArray[Any]) -> int:
        return array.ndim - len(self.before.shape or ())


def _as_type(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    import numpy as np

    wanted = as_numpy_dtype(dtype)
    if wanted.kind in "iu" and array.dtype.kind == "f":
        limits = np.iinfo(wanted)
        array = np.clip(np.rint(array), limits.min, limits.max)
    return array.astype(wanted, copy=False)


def read_changes(proto: onnx.ModelProto) -> tuple[InterfaceChange, ...]:
    """Read what the steps that made a model recorded, first step first; what is not legible counts as nothing."""
    return parse_changes(next((entry.value for entry in proto.metadata_props if entry.key == METADATA), ""))


def parse_changes(text: str) -> tuple[InterfaceChange, ...]:
    """Read what `changes_text` wrote; what is not legible counts as nothing."""
    try:
        return tuple(InterfaceChange.model_validate(item) for item in json.loads(text or "[]"))
    except ValueError:
        return ()


def changes_of(artifact: Artifact) -> tuple[InterfaceChange, ...]:
    """Read what the steps that made a model recorded; see `read_changes`."""
    return read_changes(read_light_proto(artifact.path))


def changes_text(changes: Iterable[InterfaceChange]) -> str:
    """Write changes for a model's metadata."""
    return canonical_json([change.model_dump(mode="json") for change in changes])


def new_changes(source: Artifact, result: Artifact) -> tuple[InterfaceChange, ...]:
    """Give what a result records beyond its source."""
    before, after = changes_of(source), changes_of(result)
    return after[len(before) :] if after[: len(before)] == before else ()


def before_changes(
    tensors: Sequence[TensorInfo], changes: Sequence[InterfaceChange], kind: Literal["input", "output"]
) -> tuple[TensorInfo, ...]:
    """Give inputs or outputs as they were before some changes."""
    first: dict[str, TensorInfo] = {}
    for change in changes:
        if change.kind == kind:
            first.setdefault(change.name, change.before)
    return tuple(first.get(info.name, info) for info in tensors)
