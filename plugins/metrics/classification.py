"""Metrics of classifiers: a score of 0 or 1 for each sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from studio.api import DataError, Estimate, Metric, Params, class_scores, fraction_estimate, param, same_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Top1(Metric):
    """Whether the labelled class has the largest score."""

    id = "top1"
    title = "Top-1 accuracy"
    needs_labels = True
    unit = "fraction"
    #: a sample is right when fewer classes than this stand before the labelled one
    k = 1

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> NDArray[np.float64]:
        """Give 1 for each sample whose labelled class is among the k best, else 0.

        Of equal scores the one with the lower index stands before, so that a model whose scores are all
        the same is not right everywhere. A sample with NaN among its scores is wrong.

        Raises
        ------
        DataError
            When no output holds scores of more than k classes, labels are missing, or one is no class.
        """
        import numpy as np

        scores = self._class_scores(outputs)
        wanted = _checked(labels, *scores.shape)[:, None]
        own = np.take_along_axis(scores, wanted, axis=1)
        before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < wanted))
        right: NDArray[np.bool_] = (before.sum(axis=1) < self.k) & ~np.isnan(scores).any(axis=1)
        return right.astype(float)

    def estimate(self, scores: NDArray[Any]) -> Estimate:
        """Give the share that is right, with Wilson's interval (1927)."""
        return fraction_estimate(scores)

    def _class_scores(self, outputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        scores = class_scores(outputs)
        if scores is None:
            raise _no_classes(self.title, outputs)
        if scores.shape[1] <= self.k:
            raise DataError(
                f"{self.heading} says nothing of a model with {scores.shape[1]} classes.", "Choose the metric top1."
            )
        return scores


class Top5(Top1):
    """Whether the labelled class is among the five with the largest scores."""

    id = "top5"
    title = "Top-5 accuracy"
    k = 5


class TopKParams(Params):
    """What can be set of top-k."""

    k: int = param(3, "A sample is right when its class is among so many of the largest scores.", ge=1, le=1000)


class TopK(Top1):
    """Whether the labelled class is among the k with the largest scores."""

    id = "top-k"
    title = "Top-k accuracy"
    Params = TopKParams

    def __init__(self, params: TopKParams | None = None) -> None:
        super().__init__(params)
        self.k = self.params.k


class Agreement(Metric):
    """Whether a model chooses the same class as the baseline; needs no labels."""

    id = "agreement"
    title = "Top-1 agreement with the baseline"
    needs_reference = True
    unit = "fraction"

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> NDArray[np.float64]:
        """Give 1 for each sample on which both choose the same class, else 0; a sample with NaN counts as 0.

        Raises
        ------
        DataError
            When there is no reference, or not both have scores of the same classes.
        """
        if reference is None:
            raise DataError(f"{self.title} needs a baseline.", "Give one.")
        same = same_class(outputs, reference)
        if same is None:
            raise _no_classes(self.title, outputs)
        return same

    def estimate(self, scores: NDArray[Any]) -> Estimate:
        """Give the share that agrees, with Wilson's interval (1927)."""
        return fraction_estimate(scores)


def _no_classes(title: str, outputs: Mapping[str, NDArray[Any]]) -> DataError:
    found = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in outputs.items())
    return DataError(
        f"{title} needs class scores, a float output of shape [samples, classes], but the outputs are {found}.",
        "Choose the metric cosine or sqnr.",
    )


def _checked(labels: NDArray[Any] | None, samples: int, classes: int) -> NDArray[Any]:
    """Refuse labels that are no classes of the model."""
    if labels is None:
        raise DataError("There are no labels.", "Give labelled data.")
    if labels.shape != (samples,):
        raise DataError(
            f"The labels have shape {list(labels.shape)} for {samples} samples.",
            "Give one class index for each sample.",
        )
    wrong = ((labels < 0) | (labels >= classes)).nonzero()[0]
    if len(wrong):
        raise DataError(
            f"The label of sample {wrong[0]} in the batch is {labels[wrong[0]]}, but the model has {classes} classes "
            f"(0 to {classes - 1}).",
            "Number the classes as the model does.",
        )
    return labels
