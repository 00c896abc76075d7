"""What labels are: class indices, several classes, numbers to predict, text, masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studio.api import DataError, LabelKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HINT = "Save one class index for each sample, as an integer array of shape [samples]."


def column_kind(shape: Sequence[int], dtype: np.dtype[Any], samples: int, wanted: LabelKind | None) -> LabelKind:
    """Say what an array of labels, samples along its first axis, holds.

    Integers are class indices; of two axes 0 or 1 for each class, of three the class of each pixel.
    Floats are numbers to predict, strings are text.

    Raises
    ------
    DataError
        When it can be no labels, or not those that are wanted.
    """
    if not shape or shape[0] != samples:
        count = f"{shape[0]:,} labels" if shape else "one label"
        raise DataError(f"There are {count} for {samples:,} samples.", _HINT)
    natural = _natural(shape, dtype)
    if natural is None:
        raise DataError(f"The labels are {dtype} of shape {list(shape)}, which says nothing of a sample.", _HINT)
    if wanted is None or wanted == natural:
        return natural
    if wanted == "target" and dtype.kind in "iuf" and len(shape) <= 2:
        return "target"
    raise DataError(f"The labels are {dtype} of shape {list(shape)}: no labels of the kind {wanted}.", _HINT)


def _natural(shape: Sequence[int], dtype: np.dtype[Any]) -> LabelKind | None:
    rank = len(shape)
    if dtype.kind in "iub":
        if rank == 2 and shape[1] < 2:
            return None
        kinds: dict[int, LabelKind] = {1: "class", 2: "multilabel", 3: "mask"}
        return kinds.get(rank)
    if dtype.kind == "f" and rank <= 2:
        return "target"
    return "text" if dtype.kind in "US" and rank == 1 else None


def as_labels(rows: Sequence[Any] | NDArray[Any], kind: LabelKind, classes: int = 0) -> NDArray[Any]:
    """Give labels of some samples in the form that a batch holds them in.

    Parameters
    ----------
    rows
        One for each sample; for ``"multilabel"`` from a manifest the indices of its classes.
    classes
        How many classes multi-label indices are of; 0 where rows are 0 or 1 for each class already.
    """
    import numpy as np

    if kind == "class":
        return np.asarray(rows, np.int64)
    if kind == "target":
        return np.asarray(rows, np.float64)
    if kind == "multilabel":
        return _indicators(rows, classes) if classes else np.asarray(rows, np.int64)
    made = np.empty(len(rows), dtype=object)
    for index, row in enumerate(rows):
        made[index] = _text(row) if kind == "text" else np.asarray(row, np.float64 if kind == "boxes" else np.int64)
    return made


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _indicators(rows: Sequence[Any] | NDArray[Any], classes: int) -> NDArray[Any]:
    import numpy as np

    made = np.zeros((len(rows), classes), np.int64)
    for index, row in enumerate(rows):
        made[index, list(row)] = 1
    return made
