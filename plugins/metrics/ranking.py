"""Metrics of order: area under the ROC curve, and retrieval by embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from studio.api import DataError, Params, SetMetric, Statistic, param

from .answers import answer_scores, checked_classes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: queries compared with all others at once
BLOCK = 512


class AucParams(Params):
    """What can be set."""

    average: Literal["macro", "weighted"] = param(
        "macro", "Over classes, each against the rest: macro counts each the same, weighted by its samples."
    )


class RocAuc(SetMetric):
    """Chance that a sample of a class has a higher score for it than a sample of the rest; 0.5 is guessing."""

    id = "roc-auc"
    title = "Area under the ROC curve"
    needs_labels = True
    label_kinds = frozenset({"class", "multilabel"})
    Params = AucParams

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> Floats:
        """Record the scores and which classes are right: float64 of shape ``(samples, 2 * classes)``.

        Of two classes only the second is recorded, as is usual.

        Raises
        ------
        DataError
            When there are no class scores, or labels are not the model's classes.
        """
        import numpy as np

        found = answer_scores(outputs, self.title)
        wanted = checked_classes(labels, found, many=True)
        if wanted.ndim == 2:
            truth = wanted.astype(float)
        elif found.shape[1] <= 2:
            found, truth = _of_two(found), wanted.astype(float)[:, None]
        else:
            truth = np.eye(found.shape[1])[wanted]
        return np.concatenate([found, truth], axis=1)

    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Sort each class once; ties count half (Mann and Whitney 1947)."""
        import numpy as np

        half = records.shape[1] // 2
        truth = records[:, half:]
        used = [column for column in range(half) if 0 < truth[:, column].sum() < len(truth)]
        sorted_once = [_sorted(records[:, column], truth[:, column]) for column in used]

        def value(weights: Floats) -> float:
            areas, sizes = [], []
            for order, ties, positive in sorted_once:
                area, size = _area(weights[order], ties, positive)
                if size:
                    areas.append(area)
                    sizes.append(size)
            if not areas:
                return float("nan")
            return float(np.average(areas, weights=sizes if self.params.average == "weighted" else None))

        return value

    def figures(self, records: NDArray[Any]) -> Floats:
        """Give how far the score of the right class stands above the best of the others."""
        import numpy as np

        half = records.shape[1] // 2
        found, truth = np.clip(records[:, :half], -1e30, 1e30), records[:, half:] > 0
        if half == 1:
            return np.asarray(np.where(truth[:, 0], found[:, 0], -found[:, 0]), float)
        right = np.where(truth, found, np.inf).min(axis=1)
        others = np.where(truth, -np.inf, found).max(axis=1)
        return np.asarray(np.nan_to_num(right - others, posinf=0.0, neginf=0.0), float)


class RecallParams(Params):
    """What can be set."""

    k: int = param(1, "A query is right when one of its so many nearest is of its class.", ge=1, le=1000)


class RecallAtK(SetMetric):
    """Whether the nearest other samples, by the cosine of their embeddings, hold one of the same class.

    The interval resamples queries; what they are searched in stays.
    """

    id = "recall-at-k"
    title = "Retrieval recall@k"
    needs_labels = True
    unit = "fraction"
    Params = RecallParams

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> NDArray[Any]:
        """Record the embedding, of length 1, and the class: float32 of shape ``(samples, values + 1)``.

        Raises
        ------
        DataError
            When no output is an embedding, float of shape ``[samples, values]``, or there are no class labels.
        """
        import numpy as np

        if labels is None or labels.ndim != 1:
            raise DataError("Retrieval needs a class for each sample.", "Give data with class labels.")
        arrays = [array for array in outputs.values() if array.ndim == 2 and array.dtype.kind in "fV"]
        if not arrays:
            found = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in outputs.items())
            raise DataError(
                f"{self.title} needs an embedding, a float output of shape [samples, values], but the outputs are "
                f"{found}.",
                "Export the model with its pooled embedding as an output.",
            )
        vectors = np.nan_to_num(arrays[0].astype(np.float32))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.concatenate([vectors / np.where(lengths > 0, lengths, 1), labels[:, None]], axis=1).astype(np.float32)

    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Give the share of queries that find one of their class, among those that have one."""
        hits = self.figures(records)
        import numpy as np

        _, inverse, counts = np.unique(records[:, -1], return_inverse=True, return_counts=True)
        asked = (counts[inverse] > 1).astype(float)

        def value(weights: Floats) -> float:
            total = float(weights @ asked)
            return float(weights @ (hits * asked)) / total if total else float("nan")

        return value

    def figures(self, records: NDArray[Any]) -> Floats:
        """Give 1 for each query that finds one of its class, else 0."""
        import numpy as np

        vectors, classes = records[:, :-1], records[:, -1]
        k = min(self.params.k, len(records) - 1)
        hits = np.zeros(len(records))
        for first in range(0, len(records) if k else 0, BLOCK):
            near = vectors[first : first + BLOCK] @ vectors.T
            rows = np.arange(len(near))
            near[rows, first + rows] = -np.inf
            chosen = np.argpartition(-near, k - 1, axis=1)[:, :k]
            hits[first : first + BLOCK] = (classes[chosen] == classes[first + rows, None]).any(axis=1)
        return hits


def _of_two(scores: Floats) -> Floats:
    """Give one score for the second of two classes; a difference of infinities is none."""
    import numpy as np

    if scores.shape[1] == 1:
        return scores
    clipped = np.clip(scores, -1e300, 1e300)
    return clipped[:, 1:] - clipped[:, :1]


def _sorted(scores: Floats, truth: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Give the order of the scores, where groups of equal ones begin, and which are of the class."""
    import numpy as np

    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return order, begins, truth[order] > 0


def _area(weights: Floats, begins: NDArray[np.int64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Give the area and the weight of the class; 0 and 0 when one side is empty."""
    import numpy as np

    above = np.add.reduceat(weights * positive, begins)
    below = np.add.reduceat(weights * ~positive, begins)
    pairs = float(above.sum() * below.sum())
    if not pairs:
        return 0.0, 0.0
    before = np.cumsum(below) - below
    return float((above * (before + below / 2)).sum()) / pairs, float(above.sum())
