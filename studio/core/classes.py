"""Class scores among a model's outputs, and the classes that they choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from studio.core.comparison import is_scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def class_scores(outputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    """Find the class scores: the first float output of shape ``(samples, classes)`` with two classes or more.

    Trailing dimensions of size 1 (``(samples, 1000, 1, 1)``) do not count.

    Returns
    -------
    ndarray or None
        float64 of shape ``(samples, classes)``; None when no output is like that.
    """
    import numpy as np

    for array in outputs.values():
        flat = array
        while flat.ndim > 2 and flat.shape[-1] == 1:
            flat = flat[..., 0]
        if is_scores(flat):
            return flat.astype(np.float64)
    return None


def top_class(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the index of the largest score of each sample, the first of equal ones; -1 where one is NaN.

    Parameters
    ----------
    scores
        float64 of shape ``(samples, classes)``.

    Returns
    -------
    ndarray
        int64 of shape ``(samples,)``.
    """
    import numpy as np

    return np.where(np.isnan(scores).any(axis=1), -1, scores.argmax(axis=1))


def same_class(outputs: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    """Say of each sample whether two models choose the same class; NaN is no class and never the same.

    Returns
    -------
    ndarray or None
        0 or 1, float64 of shape ``(samples,)``; None when one of them has no class scores, or theirs
        are of different classes.
    """
    first, second = class_scores(outputs), class_scores(others)
    if first is None or second is None or first.shape != second.shape:
        return None
    chosen = top_class(first)
    same: NDArray[np.bool_] = (chosen == top_class(second)) & (chosen >= 0)
    return same.astype(float)
