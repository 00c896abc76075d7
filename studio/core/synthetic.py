"""Synthetic data: inputs of valid shape and range for a model, when the user has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.core.batching import has_batch_axis, is_batch_name
from studio.core.dataset import Batch, Dataset
from studio.core.errors import DataError
from studio.core.frozen import Frozen, digest
from studio.core.pairing import narrowest
from studio.core.runtime import Dimension, TensorInfo, as_numpy_dtype

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Raised whenever the same request gives other values.
VERSION = 2
#: Size of a dynamic dimension whose name contains one of these.
SIZES = {"past": 0, "seq": 128, "len": 128, "token": 128, "time": 128, "height": 224, "width": 224, "channel": 3}
#: Height and width of a picture whose dimensions have no telling name.
PICTURE = 224
#: Token ids are below this when nothing is known of the table they look up: any table has two rows.
ID_BOUND = 2


class Hints(Frozen):
    """What is known of a model's inputs besides their types.

    Attributes
    ----------
    sizes
        Name of a dynamic dimension to its size.
    bounds
        Name of an integer input to the number that its values must stay below, such as the rows of
        the embedding table that it looks up (`studio.core.idbounds` finds them).
    """

    sizes: dict[str, int] = {}
    bounds: dict[str, int] = {}


def synthetic_dataset(
    inputs: Sequence[TensorInfo],
    samples: int,
    seed: int = 0,
    *,
    sizes: Mapping[str, int] | None = None,
    bounds: Mapping[str, int] | None = None,
) -> Dataset:
    """Generate inputs for a model.

    Floats are standard normal, in pictures (rank 4 with 1 or 3 channels) uniform in [0, 1). Integers
    are ids from 0 to below their bound, 8-bit unsigned ones pixels, masks are all 1. Sample i is the
    same whatever the batch size.

    Parameters
    ----------
    inputs
        The model's inputs; zero-sized dimensions stay.
    samples
        How many.
    sizes, bounds
        As in `Hints`. A dynamic dimension that is not named there is 128 when its name speaks of a
        sequence, 0 of the past (an empty cache), 224 when it is the height or width of a picture, else 1.

    Raises
    ------
    DataError
        For an input of unknown rank or of a type that cannot be generated.
    """
    return SyntheticDataset(inputs, samples, seed, Hints(sizes=dict(sizes or {}), bounds=dict(bounds or {})))


class SyntheticDataset(Dataset):
    """Generated samples; see `synthetic_dataset`."""

    synthetic = True

    def __init__(self, inputs: Sequence[TensorInfo], samples: int, seed: int, hints: Hints) -> None:
        self.name = "synthetic data"
        self.samples = samples if inputs else min(samples, 1)
        self._seed = seed
        self._inputs = tuple(inputs)
        self._hints = hints
        self._shapes = sample_shapes(inputs, hints.sizes)
        self._makers = [_maker(info, self._shapes[info.name], hints) for info in self._inputs]

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Generate the samples in order, `size` at a time, at most `limit`."""
        end = self.samples if limit is None else min(limit, self.samples)
        for first in range(0, end, size):
            count = min(size, end - first)
            yield Batch(first, {info.name: self._column(i, first, count) for i, info in enumerate(self._inputs)})

    def fitted(self, inputs: Sequence[TensorInfo]) -> Dataset:
        """Generate in the sizes that `inputs` fix where they were dynamic here."""
        known = {info.name: info for info in inputs}
        fitted = [narrowest(info, known.get(info.name, info)) or info for info in self._inputs]
        return SyntheticDataset(fitted, self.samples, self._seed, self._hints)

    def digest(self) -> str:
        """Name what is generated: sha256 of inputs, hints, seed and number."""
        return digest(
            {
                "version": VERSION,
                "inputs": [info.model_dump(mode="json") for info in self._inputs],
                "hints": self._hints.model_dump(mode="json"),
                "seed": self._seed,
                "samples": self.samples,
            }
        )

    def _column(self, which: int, first: int, count: int) -> NDArray[Any]:
        import numpy as np

        info, make = self._inputs[which], self._makers[which]
        shape = self._shapes[info.name]
        column: NDArray[Any] = np.empty((count, *shape), dtype=as_numpy_dtype(info.dtype))
        for row in range(count):
            column[row] = make(np.random.default_rng((self._seed, first + row, which)))
        return column


def sample_shapes(inputs: Sequence[TensorInfo], sizes: Mapping[str, int] | None = None) -> dict[str, tuple[int, ...]]:
    """Give the shape of one sample of each input, without the batch axis, all dimensions fixed.

    Dimensions of one name have one size, also where one of them is a batch axis, which is then 1.

    Raises
    ------
    DataError
        For an input of unknown rank.
    """
    named = dict(sizes or {})
    batched = {info.name: has_batch_axis(inputs, info.name) for info in inputs}
    if not all(batched.values()):  # then an inference takes one sample
        firsts = [info.shape[0] for info in inputs if batched[info.name] and info.shape]
        named.update((size, 1) for size in firsts if isinstance(size, str))
    shapes = {}
    for info in inputs:
        shapes[info.name] = shape = _sample_shape(info, batched[info.name], named)
        for size, chosen in zip((info.shape or ())[-len(shape) :] if shape else (), shape, strict=True):
            if isinstance(size, str):
                named.setdefault(size.strip(), chosen)
    return shapes


def is_picture(shape: Sequence[Dimension]) -> bool:
    """Say whether a shape without its batch axis is a picture: rank 3, with 1 or 3 channels first or last."""
    return len(shape) == 3 and (shape[0] in (1, 3) or shape[2] in (1, 3))


def _sample_shape(info: TensorInfo, batched: bool, sizes: Mapping[str, int]) -> tuple[int, ...]:
    if info.shape is None:
        raise DataError(
            f"The input {info.name!r} has an unknown rank, so no data can be generated for it.",
            "Give data with --data, or export the model with the shapes of its inputs.",
        )
    shape = info.shape[1:] if batched else info.shape
    sides = (1, 2) if is_picture(shape) and shape[0] in (1, 3) else (0, 1) if is_picture(shape) else ()
    return tuple(_size(size, sizes, PICTURE if axis in sides else 1) for axis, size in enumerate(shape))


def _size(size: Dimension, sizes: Mapping[str, int], default: int) -> int:
    if isinstance(size, int):
        return size
    name = (size or "").strip()
    if name in sizes:
        return sizes[name]
    if name.isdigit():
        return int(name)
    if "+" in name:  # exporters write sums, such as "past_length + sequence_length"
        return sum(_size(part, sizes, default) for part in name.split("+"))
    if is_batch_name(name):
        return 1
    return next((value for part, value in SIZES.items() if part in name.lower()), default)


def _maker(info: TensorInfo, shape: tuple[int, ...], hints: Hints) -> _Maker:
    try:
        dtype = as_numpy_dtype(info.dtype)
    except TypeError:
        raise _cannot(info) from None
    kind = _kind(dtype)
    if kind == "other":
        raise _cannot(info)
    return _Maker(shape, kind, _bound(info, dtype, kind, hints), mask="mask" in info.name.lower())


def _cannot(info: TensorInfo) -> DataError:
    return DataError(
        f"Data of type {info.dtype} cannot be generated for the input {info.name!r}.", "Give data with --data."
    )


def _kind(dtype: np.dtype[Any]) -> str:
    """Classify a dtype; those of ml_dtypes call themselves void."""
    if dtype.kind in "fiubO":
        return {"f": "float", "i": "int", "u": "int", "b": "bool", "O": "text"}[dtype.kind]
    if dtype.kind == "V" and "float" in dtype.name:
        return "float"
    return "int" if dtype.kind == "V" and "int" in dtype.name else "other"


def _bound(info: TensorInfo, dtype: np.dtype[Any], kind: str, hints: Hints) -> int:
    if kind != "int":
        return 0
    return max(1, hints.bounds.get(info.name, 256 if dtype.name == "uint8" else ID_BOUND))


class _Maker:
    """Makes one sample of one input."""

    def __init__(self, shape: tuple[int, ...], kind: str, bound: int, *, mask: bool) -> None:
        self._shape = shape
        self._kind = kind
        self._bound = bound
        self._mask = mask

    def __call__(self, rng: np.random.Generator) -> NDArray[Any]:
        """Give an array of the sample's shape; the column converts it to the input's type."""
        import numpy as np

        if self._kind == "float":
            picture = is_picture(self._shape)
            return (rng.random if picture else rng.standard_normal)(self._shape, dtype=np.float32)
        if self._mask:
            return np.ones(self._shape, dtype=np.int64)
        if self._kind == "int":
            return rng.integers(0, self._bound, self._shape, dtype=np.int64)
        drawn = rng.integers(0, 2, self._shape)
        return drawn.astype(bool) if self._kind == "bool" else np.where(drawn, "hello world", "a text").astype(object)
