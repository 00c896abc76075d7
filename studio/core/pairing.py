"""The same samples through a source and its result, whose inputs may be stated in other shapes.

A result may fix a dimension that its source leaves open, leave one open that its source fixes, take
another batch, or be a part of its source. Where an array suits both, both take the same array; where
the batches differ, samples are compared one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from studio.core.batching import feeds_for, fixed_batch, has_batch_axis
from studio.core.dataset import Batch
from studio.core.errors import VerificationError
from studio.core.runtime import Dimension, LoadedModel, TensorInfo, as_numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Samples of one inference where the model takes any number.
BATCH = 8

Arrays = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True)
class Pair:
    """Outputs of the source and of the result for the same samples, by the same names."""

    source: Arrays
    result: Arrays
    samples: int
    #: whether these samples were compared before, in another batch
    again: bool = False


class Pairing:
    """Runs two models on the same samples.

    Parameters
    ----------
    source, result
        The models, loaded. The source also gives every tensor that the result takes or gives.
    """

    def __init__(self, source: LoadedModel, result: LoadedModel) -> None:
        self._source = source
        self._result = result
        self._common = _common(source.inputs, result.inputs)
        self._moved = _moved(source.inputs, result.inputs)
        own = {info.name for info in source.inputs}
        self._part = any(info.name not in own for info in result.inputs)
        self._freed = not self._part and _fixed(result.inputs) is None and _fixed(source.inputs) is not None

    @property
    def batch(self) -> int:
        """How many samples to give to `runs` at a time."""
        if self._common is None or self._freed:
            return max(BATCH, *(_fixed(model.inputs) or 1 for model in (self._source, self._result)))
        return fixed_batch(self._common) or BATCH

    def runs(self, batch: Batch) -> Iterator[Pair]:
        """Run both on some samples; a result with a freed batch also on all of them at once."""
        if self._common is None:
            yield self._by_sample(batch)
            return
        yield from self._alike(self._common, batch)
        if self._freed and batch.samples > 1:
            yield replace(self._by_sample(batch), again=True)

    def first(self, batch: Batch) -> Pair | None:
        """Run both once on the first sample with the same arrays; None where they take no array in common."""
        return None if self._common is None else next(self._alike(self._common, batch))

    def _alike(self, common: Sequence[TensorInfo], batch: Batch) -> Iterator[Pair]:
        """Feed both the same arrays, each in its own types."""
        for feed in feeds_for(common, batch):
            arrays = {**feed.arrays, **self._source.run(_taken(self._source.inputs, feed.arrays))}
            yield self._pair(arrays, self._result.run(_taken(self._result.inputs, arrays)), feed.samples)

    def _by_sample(self, batch: Batch) -> Pair:
        """Run the source in its own batches, and the result on the same samples in batches of another size."""
        feeds = [feed.arrays for feed in feeds_for(self._source.inputs, batch)]
        axes = {name: axis for name, (axis, _, _) in self._moved.items()}
        mine, theirs = next((sizes for _, *sizes in self._moved.values()), (1, 1))
        wanted = theirs or mine * len(feeds)
        runs = math.lcm(mine, wanted) // mine
        feeds += [feeds[-1]] * (-len(feeds) % runs)
        whole = _joined(feeds, axes)
        pieces = [
            _taken(self._result.inputs, _piece(whole, axes, start, wanted))
            for start in range(0, mine * len(feeds), wanted)
        ]
        source = [self._source.run(_taken(self._source.inputs, arrays)) for arrays in feeds]
        result = [self._result.run(arrays) for arrays in pieces]
        ends = _batch_axes(source[0], result[0], mine, wanted)
        return self._pair(_joined(source, ends), _joined(result, ends), batch.samples)

    def _pair(self, source: Arrays, result: Arrays, samples: int) -> Pair:
        names = {info.name for info in self._result.outputs} or set(result)
        return Pair({name: array for name, array in source.items() if name in names}, result, samples)


def narrowest(one: TensorInfo, other: TensorInfo) -> TensorInfo | None:
    """Give an input with each dimension fixed that either fixes; None where they fix it differently."""
    if one.shape is None or other.shape is None:
        return one if other.shape is None else one.model_copy(update={"shape": other.shape})
    if len(one.shape) != len(other.shape):
        return None
    shape: list[Dimension] = []
    for mine, theirs in zip(one.shape, other.shape, strict=True):
        if isinstance(mine, int) and isinstance(theirs, int) and mine != theirs:
            return None
        shape.append(theirs if isinstance(theirs, int) else mine)
    return one.model_copy(update={"shape": tuple(shape)})


def _common(source: Sequence[TensorInfo], result: Sequence[TensorInfo]) -> list[TensorInfo] | None:
    """Give the source's inputs in shapes that suit the result too; None where there are none."""
    known = {info.name: info for info in result}
    found = [narrowest(info, known.get(info.name, info)) for info in source]
    return None if None in found else [info for info in found if info is not None]


def _moved(source: Sequence[TensorInfo], result: Sequence[TensorInfo]) -> dict[str, tuple[int, int, int]]:
    """Find the axis of each input whose fixed size the result has otherwise: axis, size, the result's (0: dynamic)."""
    known = {info.name: info.shape for info in result}
    found = {}
    for info in source:
        pairs = zip(info.shape or (), known.get(info.name) or (), strict=False)
        for axis, (mine, theirs) in enumerate(pairs):
            if isinstance(mine, int) and mine != theirs:
                found[info.name] = (axis, mine, theirs if isinstance(theirs, int) else 0)
                break
    return found


def _batch_axes(source: Arrays, result: Arrays, mine: int, theirs: int) -> dict[str, int]:
    """Find the axis of each output along which it has more or less for another number of samples."""
    found = {}
    for name, array in source.items():
        shape = result[name].shape if name in result else ()
        for axis, (one, other) in enumerate(zip(array.shape, shape, strict=False)):
            if one != other and one * theirs == other * mine:
                found[name] = axis
                break
    return found


def _joined(parts: Sequence[Arrays], axes: Mapping[str, int]) -> Arrays:
    """Join arrays along the axes of their samples; of those without one the first is taken."""
    import numpy as np

    return {
        name: np.concatenate([part[name] for part in parts], axis=axes[name]) if name in axes else array
        for name, array in parts[0].items()
    }


def _piece(arrays: Arrays, axes: Mapping[str, int], start: int, count: int) -> Arrays:
    import numpy as np

    return {
        name: np.ascontiguousarray(np.take(array, range(start, start + count), axis=axes[name]))
        if name in axes
        else array
        for name, array in arrays.items()
    }


def _fixed(inputs: Sequence[TensorInfo]) -> int | None:
    """Give the samples of one inference where every input has them first and their number is fixed."""
    return fixed_batch(inputs) if all(has_batch_axis(inputs, info.name) for info in inputs) else None


def _taken(inputs: Sequence[TensorInfo], arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Pick a model's inputs, floats in the precision that it takes.

    Raises
    ------
    VerificationError
        When one is not there.
    """
    found = {}
    for info in inputs:
        if info.name not in arrays:
            raise VerificationError(
                f"The input {info.name!r} of the result is no tensor of the source, so they cannot be compared.",
                "Take the tensors from the source by its own names, before steps that rename them.",
            )
        array = arrays[info.name]
        wanted = None if info.dtype == "object" or array.dtype.kind not in "fV" else as_numpy_dtype(info.dtype)
        found[info.name] = array if wanted is None or wanted.kind not in "fV" else array.astype(wanted, copy=False)
    return found
