"""Errors of predicted numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from studio.api import DataError, SetMetric, Statistic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: what stands for an error that is no number: a broken model is far off, and means stay finite
BROKEN = 1e30


class Mae(SetMetric):
    """Mean absolute error."""

    id = "mae"
    title = "Mean absolute error"
    needs_labels = True
    higher_is_better = False
    label_kinds = frozenset({"target"})
    highest = float("inf")

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> Floats:
        """Record predictions and targets: float64 of shape ``(samples, 2 * targets)``.

        Raises
        ------
        DataError
            When no float output has as many values for each sample as there are targets.
        """
        import numpy as np

        if labels is None:
            raise DataError("There are no labels.", "Give data with numbers to predict.")
        wanted = labels.reshape(len(labels), -1).astype(np.float64)
        for array in outputs.values():
            if array.dtype.kind in "fViu" and array.size == wanted.size and len(array) == len(wanted):
                found = array.reshape(wanted.shape).astype(np.float64)
                return np.concatenate([np.nan_to_num(found, nan=BROKEN, posinf=BROKEN, neginf=-BROKEN), wanted], axis=1)
        listed = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in outputs.items())
        raise DataError(
            f"{self.title} needs an output with {wanted.shape[1]} values a sample, but the outputs are {listed}.",
            "Give as many targets as the model predicts.",
        )

    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Average the samples' absolute errors."""
        errors = self.figures(records)
        return lambda weights: float(weights @ errors / weights.sum())

    def figures(self, records: NDArray[Any]) -> Floats:
        """Give each sample's mean absolute error."""
        import numpy as np

        found, wanted = np.split(records, 2, axis=1)
        return np.asarray(np.abs(found - wanted).mean(axis=1), float)


class Rmse(Mae):
    """Root of the mean squared error."""

    id = "rmse"
    title = "Root mean squared error"

    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Average the squared errors, then take the root."""
        import numpy as np

        found, wanted = np.split(records, 2, axis=1)
        squares = np.square(found - wanted).mean(axis=1)
        return lambda weights: float(np.sqrt(weights @ squares / weights.sum()))


class R2(Mae):
    """Share of the targets' variance that is predicted; below 0 is worse than predicting their mean."""

    id = "r2"
    title = "Coefficient of determination (R2)"
    higher_is_better = True
    lowest, highest = float("-inf"), 1.0

    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Compare squared errors with those of the targets' mean; several targets are averaged."""
        import numpy as np

        found, wanted = np.split(records, 2, axis=1)
        squares = np.square(found - wanted)

        def value(weights: Floats) -> float:
            total = weights.sum()
            mean = weights @ wanted / total
            spread = weights @ np.square(wanted - mean)
            # targets that are all the same leave rounding errors, no spread
            varied = spread > 1e-12 * (weights @ np.square(wanted))
            if not varied.any():
                return float("nan")
            return float((1 - (weights @ squares)[varied] / spread[varied]).mean())

        return value
