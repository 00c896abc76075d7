"""What a check of a variant against its source found."""

from __future__ import annotations

from studio.core.frozen import Frozen


class Verification(Frozen):
    """A pass's result compared with its source on the same inputs.

    Attributes
    ----------
    max_abs_error
        Largest absolute difference over all outputs; None when an output is not numeric.
    sqnr_db
        Signal to quantization noise ratio in dB over all outputs; None when they are identical
        (`identical` is then true) or not numeric.
    cosine
        Mean cosine similarity of the flattened outputs of each sample.
    top1_agreement
        Share of samples whose largest output stands at the same index; None without class scores.
    samples
        How many samples were compared.
    synthetic
        Whether the inputs were generated.
    runtime
        What ran both, such as ``"onnxruntime:CPU"``.
    first_diverging
        Name of the first node of the result whose output leaves the tolerance, where it was looked for.
    """

    exact: bool
    identical: bool
    max_abs_error: float | None
    sqnr_db: float | None
    cosine: float | None
    top1_agreement: float | None
    samples: int
    synthetic: bool
    runtime: str
    first_diverging: str = ""
    warnings: tuple[str, ...] = ()
