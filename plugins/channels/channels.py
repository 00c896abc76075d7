"""`prune.channels`: channels, neurons and hidden states go, and least squares makes up for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from studio.api import Artifact, Device, Need, Params, Pass, PassContext, PassResult, Scope, Step, Survey, param

if TYPE_CHECKING:
    import onnx_ir as ir

WHY_NOT = "There is nothing to take out: no channels, neurons or states that only layers with known weights read."
NOTHING = "Taking nothing out changes nothing."
Criterion = Literal["second-order", "activation", "l1", "l2", "batchnorm-scale", "geometric-median"]
Target = Literal["latency", "macs", "parameters", "ratio", "accuracy"]


class ChannelsParams(Params):
    """How much to take out, how to choose it, and how to make up for it."""

    target: Target = param(
        "macs",
        "What the ratio is a share of: time on this machine, multiply-accumulates, parameters, channels of each "
        "group; or as much as the accuracy floor allows.",
        candidates=("macs", "latency"),
    )
    ratio: float = param(
        0.3, "Share to take away of what the target says.", ge=0, le=1, candidates=(0.15, 0.25, 0.35, 0.5)
    )
    floor: float = param(
        0.95,
        "For the target accuracy: least agreement of the chosen class (mean cosine where there are no classes) with "
        "the original, on samples that are held out.",
        ge=0,
        le=1,
    )
    criterion: Criterion = param(
        "second-order",
        "What a channel is worth: by the output error that the others cannot make up for (second-order), its weights "
        "times its activations, its weights alone, the scale of its batch normalization, or its distance to others.",
        candidates=("second-order", "activation"),
    )
    ranking: Literal["latency", "global", "local"] = param(
        "global",
        "How the layers share it: by error of the network's output for each millisecond saved, for each "
        "multiply-accumulate saved, or the same share in each.",
        candidates=("global", "latency"),
    )
    reconstruct: bool = param(True, "Fit every layer that follows to the original network's outputs.")
    rounds: int = param(1, "In how many rounds it is taken away; more are more accurate and slower.", ge=1, le=50)
    samples: int = param(192, "Most calibration samples to use.", unit="samples", ge=1, le=100_000)
    held_out: float = param(0.15, "Share of them that is kept aside to measure with.", ge=0, le=0.9, advanced=True)
    multiple: int = param(
        8, "What stays of a group is a multiple of it: kernels like 8 or 16.", ge=1, le=256, candidates=(8, 16)
    )
    min_channels: int = param(8, "Leave at least so many in each group.", ge=1, le=100_000)
    most: float = param(0.8, "Largest share of a group that may go.", ge=0, le=1, advanced=True)
    ridge: float = param(
        0.003, "Pull towards the original weights, relative to the inputs' variance.", gt=0, le=10, advanced=True
    )
    seconds: float | None = param(
        None, "Begin no further round after this time, and give the best so far.", unit="s", gt=0, advanced=True
    )
    seed: int = param(0, "Which positions of the activations are drawn.", ge=0, advanced=True)


class Channels(Pass):
    """Take channels out of all layers that share them, choose them by second-order error, and refit the rest."""

    id = "prune.channels"
    title = "Prune channels"
    family = "structure"
    needs = frozenset({Need.CALIBRATION})
    summary = "Remove channels, neurons and hidden states physically, and fit the rest to the original outputs."
    Params: ClassVar[type[Params]] = ChannelsParams
    kinds: ClassVar[tuple[str, ...]] = ("channels", "neurons", "states")
    what: ClassVar[str] = "channels"

    def survey(self, model: ir.Model, params: ChannelsParams, device: Device | None, scope: Scope) -> Survey:
        """List the groups that may shrink."""
        from .surveying import survey

        return survey(model, params, device, scope, self.kinds, self.what)

    def apply(self, artifact: Artifact, params: ChannelsParams, context: PassContext) -> PassResult:
        """Choose, fit, measure, again; see `Pass.apply`.

        Raises
        ------
        DataError
            When the calibration data is empty or gives values that are not finite.
        """
        from .driver import prune

        if not params.ratio and params.target != "accuracy":
            return PassResult(artifact=artifact, warnings=(NOTHING,))
        return prune(artifact, params, context, self.kinds)

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Refuse quantized and factorized weights."""
        before = next((step.pass_id for step in earlier if step.enabled and step.pass_id.startswith("quantize.")), "")
        if before in ("", "quantize.float16"):
            return ""
        return f"{before} came before, and quantized weights are not pruned: prune first."
