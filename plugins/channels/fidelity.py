"""How alike the answers of two networks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.api import same_class


@dataclass(frozen=True)
class Fidelity:
    """Likeness of outputs on samples that are held out.

    Attributes
    ----------
    cosine
        Mean over the samples.
    agreement
        Share of the samples with the same class; None where there are no classes.
    """

    cosine: float
    agreement: float | None

    @property
    def score(self) -> float:
        """Agreement where there are classes, else cosine."""
        return self.cosine if self.agreement is None else self.agreement

    @property
    def text(self) -> str:
        """Say it in words."""
        classes = "" if self.agreement is None else f", agreement {self.agreement:.3f}"
        return f"cosine {self.cosine:.4f}{classes} on held-out samples"

    @property
    def notes(self) -> dict[str, float]:
        """Give it as notes of a result."""
        found = {"held_out_cosine": round(self.cosine, 5)}
        return found if self.agreement is None else {**found, "held_out_agreement": round(self.agreement, 4)}


def fidelity(found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> Fidelity:
    """Compare answers batch by batch; first axis the samples."""
    cosines: list[float] = []
    same: list[float] = []
    for answer, other in zip(found, wanted, strict=True):
        for name, array in answer.items():
            samples = len(array) if array.ndim > 1 else 1
            left = array.reshape(samples, -1).astype(np.float64)
            right = other[name].reshape(samples, -1).astype(np.float64)
            norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
            cosines += list((left * right).sum(axis=1) / np.maximum(norms, 1e-30))
        classes = same_class(answer, other)
        if classes is not None:
            same += list(classes)
    return Fidelity(float(np.mean(cosines or [1.0])), float(np.mean(same)) if same else None)
