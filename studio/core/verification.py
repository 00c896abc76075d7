"""What a check of a variant against its source found."""

from __future__ import annotations

from studio.core.frozen import Frozen


class PlaceCheck(Frozen):
    """What one runtime made of a result, against what it makes of the source on the same inputs.

    Attributes
    ----------
    runtime
        What ran both, such as ``"openvino:CPU"``.
    refused
        Why the result must not be run there, one sentence; empty when it may.
    samples
        How many samples were compared; 0 when it could not be run.
    identical, sqnr_db, cosine, top1_agreement
        As in `Verification`.
    """

    runtime: str
    refused: str = ""
    samples: int = 0
    identical: bool = False
    sqnr_db: float | None = None
    cosine: float | None = None
    top1_agreement: float | None = None


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
    places
        What every runtime here made of it. Results in another precision are run in each; of others the
        rest are only asked whether they load it, and have compared no samples.
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
    places: tuple[PlaceCheck, ...] = ()

    def refused_on(self, runtime: str) -> str:
        """Say why a runtime must not run the result; empty when it may, or was not asked."""
        return next((place.refused for place in self.places if place.runtime == runtime), "")


def refusal_text(verification: Verification | None, pass_id: str, runtime: str) -> str:
    """Say, for a measurement on a runtime, that a step found its result wrong there; empty when it did not."""
    refused = verification.refused_on(runtime) if verification else ""
    if refused.startswith("it cannot load"):
        return f"{runtime} does not run it, as {pass_id} found: {refused}"
    return f"Wrong results on {runtime}, as {pass_id} found: {refused} Do not use it there." if refused else ""
