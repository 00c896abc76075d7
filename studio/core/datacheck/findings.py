"""What a check of data against a model found."""

from __future__ import annotations

from typing import Literal

from studio.core.frozen import Frozen

#: "wrong" is as good as certain; "suspicious" should be looked at
Severity = Literal["wrong", "suspicious"]


class Finding(Frozen):
    """One thing that speaks against the data: what, the figures that show it, and what to do."""

    kind: str
    severity: Severity
    message: str
    evidence: str
    remedy: str

    @property
    def text(self) -> str:
        """The three as one line."""
        return f"{self.message} {self.evidence} {self.remedy}".strip()


class InputStatistics(Frozen):
    """Values of one input over the samples looked at; `channels` gives each channel's mean and deviation."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    low: float
    high: float
    mean: float
    deviation: float
    not_finite: int = 0
    channels: tuple[tuple[float, float], ...] = ()


class Reading(Frozen):
    """How a model takes the samples when they are read in one way.

    Attributes
    ----------
    name
        The way, such as ``"as given"`` or ``"divided by 255"``.
    accuracy
        Top-1 accuracy; None without labels or class scores.
    confidence
        Mean probability of the chosen class; None without class scores.
    information
        Bits that the predictions tell about the samples: entropy of the mean prediction less the mean
        entropy; low when the model cannot tell samples apart, or is sure of none.
    mismatch
        How far the first BatchNormalizations' inputs are from the statistics learned in training: the
        median over channels of the Kullback-Leibler divergence; below 0.1 is ordinary. None without such a layer.
    """

    name: str
    accuracy: float | None = None
    confidence: float | None = None
    information: float | None = None
    mismatch: float | None = None


class DataCheck(Frozen):
    """The result; no finding means that nothing was found, not that all is well."""

    model_sha256: str
    model_name: str
    dataset: str
    dataset_digest: str
    synthetic: bool
    device: str
    samples: int
    inputs: tuple[InputStatistics, ...]
    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]
    #: what could not be looked at, and why
    limits: tuple[str, ...] = ()
