"""Metrics of fidelity: how near a model's outputs are to the baseline's; they need no labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from studio.api import DataError, Estimate, Metric, class_scores, mean_estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: SQNR of identical outputs, and its negative of outputs that are no numbers: float64 resolves no more.
SQNR_LIMIT_DB = 200.0
#: divergence of samples that have nothing in common, or are no numbers
KL_LIMIT_NATS = 50.0


class _Fidelity(Metric):
    """A score of each sample from all its float outputs, as one vector."""

    needs_reference = True
    lowest: float
    highest: float

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> Floats:
        """Score each sample.

        Raises
        ------
        DataError
            When there is no reference, no float output, or an output of another shape than the reference's.
        """
        import numpy as np

        if reference is None:
            raise DataError(f"{self.title} needs a baseline.", "Give one.")
        got, wanted = _vectors(outputs, reference, self.title)
        finite = np.isfinite(got).all(axis=1) & np.isfinite(wanted).all(axis=1)
        scores = np.full(len(got), self.worst)
        scores[finite] = self._score(got[finite], wanted[finite])
        return scores

    def estimate(self, scores: NDArray[Any]) -> Estimate:
        """Give the mean, with a bootstrap interval."""
        return mean_estimate(scores, self.lowest, self.highest)

    #: score of a sample with NaN or infinity in either model's outputs
    worst: float

    def _score(self, got: Floats, wanted: Floats) -> Floats:
        raise NotImplementedError


class Cosine(_Fidelity):
    """Cosine of the angle between both models' outputs: 1 is the same direction, 0 nothing in common."""

    id = "cosine"
    title = "Cosine similarity to the baseline's outputs"
    lowest, highest, worst = -1.0, 1.0, 0.0

    def _score(self, got: Floats, wanted: Floats) -> Floats:
        """Give the cosine; 1 for two zero vectors, 0 for one."""
        import numpy as np

        first, second = _scaled(got), _scaled(wanted)
        norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        cosine = (first * second).sum(axis=1) / np.where(norms > 0, norms, 1.0)
        same: NDArray[np.bool_] = (got == wanted).all(axis=1)
        return np.where(same, 1.0, np.clip(cosine, -1.0, 1.0))


class Sqnr(_Fidelity):
    """Signal to quantization noise ratio: power of the baseline's outputs over that of the difference."""

    id = "sqnr"
    title = "SQNR against the baseline's outputs"
    unit = "dB"
    lowest, highest, worst = -SQNR_LIMIT_DB, SQNR_LIMIT_DB, -SQNR_LIMIT_DB

    def _score(self, got: Floats, wanted: Floats) -> Floats:
        """Give 10 log10(sum of r^2 / sum of (r - o)^2) in dB, within -200 and 200; 200 for identical outputs."""
        import numpy as np

        signal = np.square(wanted).sum(axis=1)
        noise = np.square(wanted - got).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 10 * (np.log10(signal) - np.log10(noise))
        return np.where(noise == 0, SQNR_LIMIT_DB, np.clip(ratio, -SQNR_LIMIT_DB, SQNR_LIMIT_DB))


class KlDivergence(Metric):
    """Kullback-Leibler divergence of the model's class probabilities from the baseline's; 0 is the same."""

    id = "kl"
    title = "KL divergence from the baseline's probabilities"
    needs_reference = True
    higher_is_better = False
    unit = "nats"

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> Floats:
        """Give the sum of p (log p - log q) of each sample in nats, at most 50; p is the baseline.

        Outputs that are no probabilities are taken for logits. A sample with NaN has 50.

        Raises
        ------
        DataError
            When there is no reference, or not both have scores of the same classes.
        """
        import numpy as np

        if reference is None:
            raise DataError(f"{self.title} needs a baseline.", "Give one.")
        got, wanted = class_scores(outputs), class_scores(reference)
        if got is None or wanted is None or got.shape != wanted.shape:
            raise DataError(
                f"{self.title} needs class scores of the same classes from both models.",
                "Choose the metric cosine or sqnr.",
            )
        finite = np.isfinite(got).all(axis=1) & np.isfinite(wanted).all(axis=1)
        found = np.full(len(got), KL_LIMIT_NATS)
        q, p = _log_probabilities(got[finite]), _log_probabilities(wanted[finite])
        found[finite] = np.clip((np.exp(p) * (p - q)).sum(axis=1), 0.0, KL_LIMIT_NATS)
        return found

    def estimate(self, scores: NDArray[Any]) -> Estimate:
        """Give the mean, with a bootstrap interval."""
        return mean_estimate(scores, 0.0, KL_LIMIT_NATS)


def _log_probabilities(scores: Floats) -> Floats:
    """Give the logarithms of class probabilities, from probabilities or from logits."""
    import numpy as np

    if len(scores) and (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-2):
        logits = np.log(np.maximum(scores, 1e-30))
    else:
        logits = scores
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    normal: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normal


def _vectors(
    outputs: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]], title: str
) -> tuple[Floats, Floats]:
    """Give both models' float outputs as float64 of shape ``(samples, values)``."""
    import numpy as np

    names = [name for name, array in reference.items() if array.ndim and array.dtype.kind in "fV"]
    if not names:
        raise DataError(f"{title} needs a float output, but there is none.", "Choose another metric.")
    for name in names:
        if name not in outputs or outputs[name].shape != reference[name].shape:
            found = f"shape {list(outputs[name].shape)}" if name in outputs else "no such output"
            raise DataError(
                f"The output {name!r} has shape {list(reference[name].shape)} in the baseline; the model has {found}.",
                "Compare models with the same outputs.",
            )
    got, wanted = (np.concatenate([_flat(arrays[name]) for name in names], axis=1) for arrays in (outputs, reference))
    return got, wanted


def _flat(array: NDArray[Any]) -> Floats:
    import numpy as np

    return array.reshape(len(array), -1).astype(np.float64) if array.size else np.zeros((len(array), 0))


def _scaled(rows: Floats) -> Floats:
    """Divide each row by its largest value, so that squares neither overflow nor vanish."""
    import numpy as np

    largest = np.abs(rows).max(axis=1, initial=0.0, keepdims=True)
    scaled: Floats = rows / np.where(largest > 0, largest, 1.0)
    return scaled
