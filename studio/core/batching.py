"""How batches of samples become inferences, whatever batch axis a model has. One convention for all.

Every array of a `Batch` has the samples as its first axis. Its rank says what the model's input does
with them:

- the rank of the input: the input's own first axis is its batch axis. A dynamic one takes any number
  of samples; a fixed one takes exactly so many, and a last inference that would have fewer is filled
  up by repeating its last sample, whose outputs are dropped;
- one more than the input's rank: the input has no batch axis, and each inference takes one sample,
  with which a fixed batch of the other inputs is filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.core.dataset import Batch
from studio.core.errors import DataError
from studio.core.runtime import LoadedModel, TensorInfo, as_numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A lone rank-3 input with this many rows and columns is a picture without a batch axis.
PICTURE_SIDE = 8
#: Names that exporters give to the batch axis.
BATCH_NAMES = ("batch", "batch_size", "batchsize", "n", "bs")


@dataclass(frozen=True)
class Feed:
    """The inputs of one inference.

    Attributes
    ----------
    arrays
        Input name to array, exactly as the model takes them.
    first
        Index of its first sample in the dataset.
    samples
        How many samples it holds, fillers not counted.
    fed
        How many it holds with fillers.
    labels
        int64 of shape ``(samples,)``, or None.
    """

    arrays: Mapping[str, NDArray[Any]]
    first: int
    samples: int
    fed: int
    labels: NDArray[Any] | None = None

    def trim(self, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Give the outputs with the samples as first axis, those of fillers dropped.

        Raises
        ------
        DataError
            When an output of several samples cannot be divided among them.
        """
        return {name: self._rows(name, array) for name, array in outputs.items()}

    def _rows(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        if array.ndim and array.shape[0] == self.fed:
            return array[: self.samples]
        if self.fed == 1:
            return array[None]
        raise DataError(
            f"The output {name!r} of shape {list(array.shape)} cannot be divided among {self.fed} samples.",
            "Use a batch size of 1.",
        )


def has_batch_axis(inputs: Sequence[TensorInfo], name: str) -> bool:
    """Say whether the first axis of an input is the samples, from shapes and dimension names alone.

    It is not when the batch is named at another axis (``[seq, batch, 8]``). Else it is when it is
    dynamic. A fixed one is when it is 1, or when the input has rank 2 or more and every other such
    input begins with the same size; a lone ``[3, 224, 224]`` is a picture. An input of unknown rank is
    taken to have one.
    """
    info = next(info for info in inputs if info.name == name)
    if info.shape is None:
        return True
    if not info.shape:
        return False
    if not is_batch_name(info.shape[0]) and any(is_batch_name(size) for size in info.shape[1:]):
        return False
    if not isinstance(info.shape[0], int):
        return True
    if info.shape[0] <= 1:  # a batch of 0 is none
        return info.shape[0] == 1
    others = [other.shape for other in inputs if other.shape and len(other.shape) > 1]
    alike = all(shape[0] == info.shape[0] for shape in others)
    return len(info.shape) > 1 and alike and not (len(others) == 1 and _is_picture(info))


def fixed_batch(inputs: Sequence[TensorInfo]) -> int | None:
    """Give the samples that one inference takes when that is fixed; None when any number will do.

    Models with an input without a batch axis take one at a time.
    """
    if not all(has_batch_axis(inputs, info.name) for info in inputs):
        return 1
    return max((_fixed(info) for info in inputs), default=0) or None


def feeds_for(inputs: Sequence[TensorInfo], batch: Batch) -> Iterator[Feed]:
    """Turn a batch into the feeds of one or more inferences.

    Floats are converted to the precision that the model takes, for a variant may take another than the
    source that the data was opened for.

    Parameters
    ----------
    inputs
        The model's inputs.
    batch
        Samples; every input must be there.

    Raises
    ------
    DataError
        When an input is missing, or its array has another rank than the model's input allows.
    """
    whole = {info.name for info in inputs if _is_whole(info, _array(batch, info))}
    fixed = max((size for info in inputs if info.name not in whole and (size := _fixed(info))), default=0)
    step = 1 if whole else fixed or max(1, batch.samples)
    for start in range(0, batch.samples, step):
        stop = min(start + step, batch.samples)
        labels = None if batch.labels is None else batch.labels[start:stop]
        arrays = {}
        for info in inputs:
            array = batch.feeds[info.name]
            piece = array[start] if info.name in whole else _filled(array[start:stop], fixed)
            arrays[info.name] = _as_taken(info, piece)
        yield Feed(arrays, batch.first + start, stop - start, fixed or stop - start, labels)


def run_batch(model: LoadedModel, batch: Batch) -> dict[str, NDArray[Any]]:
    """Run a batch in as many inferences as the model needs.

    Returns
    -------
    dict
        Output name to array whose first axis is the batch's samples.

    Raises
    ------
    DataError
        When the batch does not suit the model, or outputs cannot be put together: of several samples
        without a batch axis, or of another shape for each (use a batch size of 1 then).
    """
    import numpy as np

    parts = [feed.trim(model.run(feed.arrays)) for feed in feeds_for(model.inputs, batch)]
    if len(parts) == 1:
        return parts[0]
    try:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    except ValueError:
        raise DataError("Outputs of different samples have different shapes.", "Use a batch size of 1.") from None


def _array(batch: Batch, info: TensorInfo) -> NDArray[Any]:
    try:
        return batch.feeds[info.name]
    except KeyError:
        raise DataError(
            f"The data has no array for the input {info.name!r}.", f"It has: {', '.join(sorted(batch.feeds))}."
        ) from None


def _is_whole(info: TensorInfo, array: NDArray[Any]) -> bool:
    """Say whether each sample is the whole of an input without a batch axis."""
    if info.shape is None or array.ndim == len(info.shape):
        return False
    if array.ndim == len(info.shape) + 1:
        return True
    raise DataError(
        f"The data for {info.name!r} has shape {list(array.shape)}, but the input has rank {len(info.shape)}.",
        "Give the samples along the first axis.",
    )


def _fixed(info: TensorInfo) -> int:
    """Give the fixed size of the first axis; 0 when it is dynamic or unknown."""
    return info.shape[0] if info.shape and isinstance(info.shape[0], int) else 0


def _filled(piece: NDArray[Any], size: int) -> NDArray[Any]:
    """Repeat the last sample until there are `size`."""
    import numpy as np

    missing = size - len(piece)
    return np.concatenate([piece, np.repeat(piece[-1:], missing, axis=0)]) if missing > 0 else piece


def _as_taken(info: TensorInfo, array: NDArray[Any]) -> NDArray[Any]:
    """Convert a float array, numpy's or ml_dtypes', to the input's float type."""
    if info.dtype == "object" or array.dtype.kind not in "fV":
        return array
    wanted = as_numpy_dtype(info.dtype)
    return array.astype(wanted, copy=False) if wanted.kind in "fV" else array


def is_batch_name(size: int | str | None) -> bool:
    """Say whether a dimension is named as the batch is."""
    return isinstance(size, str) and (size.lower() in BATCH_NAMES or "batch" in size.lower())


def _is_picture(info: TensorInfo) -> bool:
    if info.shape is None or len(info.shape) != 3:
        return False
    for channels, *sides in (info.shape, info.shape[::-1]):
        if channels in (1, 3) and all(not isinstance(side, int) or side >= PICTURE_SIDE for side in sides):
            return True
    return False
