"""Precision, recall and F1, with the confusion matrix and a table of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from studio.api import Params, SetMetric, Statistic, param

from .answers import answer_scores, checked_classes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: classes up to which the whole matrix is kept
MATRIX_CLASSES = 200


class AverageParams(Params):
    """What can be set."""

    average: Literal["macro", "micro", "weighted"] = param(
        "macro", "Over classes: macro counts each the same, weighted by its samples, micro counts samples."
    )
    threshold: float = param(
        0.5, "Score from which a class is chosen, where there is one score or several classes may be right."
    )


class F1(SetMetric):
    """Harmonic mean of precision and recall."""

    id = "f1"
    title = "F1"
    needs_labels = True
    unit = "fraction"
    label_kinds = frozenset({"class", "multilabel"})
    Params = AverageParams

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> Floats:
        """Record which classes are right and which are chosen: int as float64, ``(samples, 2 * classes)`` of 0 and 1.

        Raises
        ------
        DataError
            When there are no class scores, or labels are not the model's classes.
        """
        import numpy as np

        found = answer_scores(outputs, self.title)
        wanted = checked_classes(labels, found, many=True)
        if wanted.ndim == 2:
            return np.concatenate([wanted, found >= self.params.threshold], axis=1).astype(float)
        single = found.shape[1] == 1
        chosen = (found[:, 0] >= self.params.threshold).astype(int) if single else found.argmax(axis=1)
        # class indices and the number of classes, not indicators: a thousand classes would be a thousand numbers
        return np.stack([wanted, chosen, np.full(len(wanted), max(2, found.shape[1]))], axis=1).astype(float)

    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Count right, wrong and missed of each class, then average."""
        import numpy as np

        truth, chosen, classes = _pairs(records)
        if truth.ndim == 1:
            right = truth == chosen

            def counts(weights: Floats) -> tuple[Floats, Floats, Floats]:
                return count(truth, weights * right), count(chosen, weights), count(truth, weights)

            def count(indices: NDArray[np.int64], weights: Floats) -> Floats:
                return np.bincount(indices, weights, classes).astype(float)
        else:
            both = (truth * chosen).astype(float)

            def counts(weights: Floats) -> tuple[Floats, Floats, Floats]:
                return weights @ both, weights @ chosen, weights @ truth

        return lambda weights: self._averaged(*counts(weights))

    def figures(self, records: NDArray[Any]) -> Floats:
        """Give 1 where exactly the right classes are chosen, else 0."""
        import numpy as np

        truth, chosen, _ = _pairs(records)
        same = truth == chosen
        return np.asarray(same if same.ndim == 1 else same.all(axis=1), float)

    def details(self, records: NDArray[Any]) -> dict[str, Any]:
        """Give precision, recall, F1 and samples of each class, and how often each is taken for which."""
        import numpy as np

        truth, chosen, classes = _pairs(records)
        many = truth.ndim == 2
        hit = (truth * chosen).sum(axis=0) if many else np.bincount(truth[truth == chosen], minlength=classes)
        picked = chosen.sum(axis=0) if many else np.bincount(chosen, minlength=classes)
        present = truth.sum(axis=0) if many else np.bincount(truth, minlength=classes)
        table = [
            {
                "class": index,
                "precision": _ratio(hit[index], picked[index]),
                "recall": _ratio(hit[index], present[index]),
                "f1": _ratio(2 * hit[index], picked[index] + present[index]),
                "samples": int(present[index]),
            }
            for index in range(classes)
            if picked[index] or present[index]
        ]
        found: dict[str, Any] = {"classes": table}
        if not many and classes <= MATRIX_CLASSES:
            matrix = np.zeros((classes, classes), int)
            np.add.at(matrix, (truth, chosen), 1)
            found["confusion"] = matrix.tolist()  # rows: labels; columns: answers
        return found

    def _averaged(self, hit: Floats, picked: Floats, present: Floats) -> float:
        import numpy as np

        used = (picked > 0) | (present > 0)
        hit, picked, present = hit[used], picked[used], present[used]
        if not len(hit):
            return float("nan")
        if self.params.average == "micro":
            return self._value(hit.sum(), picked.sum(), present.sum())
        values = np.array([self._value(*row) for row in zip(hit, picked, present, strict=True)])
        if self.params.average == "macro":
            return float(values.mean())
        return float((values * present).sum() / present.sum()) if present.sum() else float("nan")

    def _value(self, hit: float, picked: float, present: float) -> float:
        return _ratio(2 * hit, picked + present)


class Precision(F1):
    """Share of the answers that are right."""

    id = "precision"
    title = "Precision"

    def _value(self, hit: float, picked: float, present: float) -> float:
        return _ratio(hit, picked)


class Recall(F1):
    """Share of the labelled that is found."""

    id = "recall"
    title = "Recall"

    def _value(self, hit: float, picked: float, present: float) -> float:
        return _ratio(hit, present)


def _pairs(records: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Take records apart: labels and answers, as indices or as 0 and 1 for each class, and the number of classes."""
    import numpy as np

    whole = records.astype(np.int64)
    if whole.shape[1] == 3:
        return whole[:, 0], whole[:, 1], int(whole[:, 2].max())
    half = whole.shape[1] // 2
    return whole[:, :half], whole[:, half:], half


def _ratio(above: float, below: float) -> float:
    """Divide; 0 where there is nothing to divide by, as is usual for classes that are never chosen."""
    return float(above / below) if below else 0.0
