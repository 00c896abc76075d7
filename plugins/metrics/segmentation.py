"""Mean intersection over union of segmentation masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from studio.api import DataError, SetMetric, Statistic, ragged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class MeanIou(SetMetric):
    """Intersection over union of each class over all pixels, averaged over the classes that occur."""

    id = "miou"
    title = "Mean intersection over union"
    needs_labels = True
    unit = "fraction"
    label_kinds = frozenset({"mask"})

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> NDArray[Any]:
        """Record each class's pixels in common and together: object array of float64 ``(classes, 2)``.

        Masks are brought to the output's height and width by taking the nearest pixel.

        Raises
        ------
        DataError
            When no output is a map of classes, ``[samples, classes, height, width]`` of float or
            ``[samples, height, width]`` of integers.
        """
        if labels is None:
            raise DataError("There are no masks.", "Give a folder with images/ and masks/.")
        found, classes = _class_map(outputs, self.title)
        return ragged([_overlap(answer, truth, classes) for answer, truth in zip(found, labels, strict=True)])

    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Add up all pixels of each class, then divide and average."""
        both, either = _tables(records)

        def value(weights: Floats) -> float:
            union = weights @ either
            used = union > 0
            return float(((weights @ both)[used] / union[used]).mean()) if used.any() else float("nan")

        return value

    def figures(self, records: NDArray[Any]) -> Floats:
        """Give each picture's own mean over the classes in it; 1 where there are none."""
        import numpy as np

        both, either = _tables(records)
        share = np.where(either > 0, both / np.where(either > 0, either, 1), 0)
        used = (either > 0).sum(axis=1)
        return np.where(used > 0, share.sum(axis=1) / np.maximum(used, 1), 1.0)

    def details(self, records: NDArray[Any]) -> dict[str, Any]:
        """Give the value of each class that occurs."""
        both, either = (table.sum(axis=0) for table in _tables(records))
        return {
            "classes": [
                {"class": index, "iou": float(both[index] / union)} for index, union in enumerate(either) if union > 0
            ]
        }


def _class_map(outputs: Mapping[str, NDArray[Any]], title: str) -> tuple[NDArray[Any], int]:
    """Find the class of each pixel, ``(samples, height, width)``, and how many classes there are at least."""
    for array in outputs.values():
        if array.ndim == 4 and array.dtype.kind in "fV" and array.shape[1] > 1:
            return array.argmax(axis=1), array.shape[1]
        if array.ndim == 4 and array.dtype.kind in "fV" and array.shape[1] == 1:
            # one map of logits or probabilities: logits reach below 0
            middle = 0.0 if float(array.min()) < 0 else 0.5
            return (array[:, 0] > middle).astype(int), 2
        flat = array[:, 0] if array.ndim == 4 and array.shape[1] == 1 else array
        if flat.ndim == 3 and flat.dtype.kind in "iu":
            return flat, int(flat.max()) + 1
    found = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in outputs.items())
    raise DataError(
        f"{title} needs a map of classes, [samples, classes, height, width], but the outputs are {found}.",
        "Choose a metric for these outputs.",
    )


def _overlap(answer: NDArray[Any], truth: NDArray[Any], classes: int) -> Floats:
    import numpy as np

    height, width = answer.shape
    rows = (np.arange(height) + 0.5) * truth.shape[0] / height
    columns = (np.arange(width) + 0.5) * truth.shape[1] / width
    wanted = truth[rows.astype(int)[:, None], columns.astype(int)[None]]
    known = wanted >= 0
    got, want = np.clip(answer[known], 0, None).astype(int), wanted[known].astype(int)
    count = max(classes, int(want.max(initial=-1)) + 1)
    both = np.bincount(want[got == want], minlength=count)
    either = np.bincount(got, minlength=count) + np.bincount(want, minlength=count) - both
    return np.stack([both, either], axis=1).astype(float)


def _tables(records: NDArray[Any]) -> tuple[Floats, Floats]:
    """Give pixels in common and together, each float64 of shape ``(samples, classes)``."""
    import numpy as np

    classes = max(len(record) for record in records)
    whole = np.stack([np.pad(record, ((0, classes - len(record)), (0, 0))) for record in records])
    return whole[:, :, 0], whole[:, :, 1]
