"""What a classifier answers: the scores of each class, and the classes that it chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from studio.api import DataError, class_scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def answer_scores(outputs: Mapping[str, NDArray[Any]], title: str) -> NDArray[np.float64]:
    """Find the scores: of two classes or more, or a single score of the positive class.

    Returns
    -------
    ndarray
        float64 of shape ``(samples, classes)``; one column for a single score. NaN is the lowest score.

    Raises
    ------
    DataError
        When no float output is like that.
    """
    import numpy as np

    scores = class_scores(outputs)
    if scores is None:
        single = [array for array in outputs.values() if array.dtype.kind in "fV" and array.size == len(array)]
        if not single:
            found = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in outputs.items())
            raise DataError(
                f"{title} needs class scores, a float output of shape [samples, classes], but the outputs are {found}.",
                "Choose a metric for these outputs, such as cosine or mae.",
            )
        scores = single[0].reshape(-1, 1).astype(np.float64)
    return np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)


def checked_classes(labels: NDArray[Any] | None, scores: NDArray[Any], *, many: bool) -> NDArray[np.int64]:
    """Give class labels, or with `many` labels of several classes too, that are the model's.

    Raises
    ------
    DataError
        When they are missing, or are not classes of the model.
    """
    import numpy as np

    if labels is None:
        raise DataError("There are no labels.", "Give labelled data.")
    classes = max(2, scores.shape[1])
    if many and labels.ndim == 2:
        if labels.shape[1] > scores.shape[1]:
            raise DataError(
                f"The labels are of {labels.shape[1]} classes, but the model has {scores.shape[1]}.",
                "Number the classes as the model does.",
            )
        return np.pad(labels, ((0, 0), (0, scores.shape[1] - labels.shape[1]))).astype(np.int64)
    wrong = ((labels < 0) | (labels >= classes)).nonzero()[0] if labels.ndim == 1 else np.zeros(0, int)
    if labels.ndim != 1 or len(wrong):
        which = f"sample {wrong[0]} in the batch is {labels[wrong[0]]}" if len(wrong) else f"{list(labels.shape)}"
        raise DataError(
            f"The label of {which}, but the model has {classes} classes (0 to {classes - 1}).",
            "Number the classes as the model does.",
        )
    return labels.astype(np.int64)
