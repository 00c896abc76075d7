"""Preprocessing of pictures as a part of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from studio.api import (
    Artifact,
    Device,
    Params,
    Pass,
    PassContext,
    PassError,
    PassResult,
    Range,
    Scope,
    Survey,
    param,
    read_model,
)

if TYPE_CHECKING:
    import onnx_ir as ir

WHY_NOT = "These values change nothing: the scale is 1, there is no mean and std, and type, layout and order stay."
SPEED = (
    "what was folded into the first Conv costs nothing; bytes are a quarter of what floats are to copy. The work that "
    "a program did before the model is saved there, which no measurement of the model shows"
)


class FoldPreprocessingParams(Params):
    """What the program that fed the model did to each picture until now."""

    input: str = param("", "The input; empty for the only one with pictures.")
    scale: str = param("1/255", "Factor of each pixel: a number or a quotient.")
    mean: tuple[str, ...] = param((), "What is subtracted after that: one number, or one for each channel.")
    std: tuple[str, ...] = param((), "What it is then divided by: one number, or one for each channel.")
    dtype: Literal["uint8", "keep"] = param("uint8", "Type that is fed from now on.", title="Type")
    layout: Literal["keep", "nhwc", "nchw"] = param("keep", "Layout that is fed from now on.")
    reverse: bool = param(False, "Feed the channels in the opposite order: BGR to a model trained on RGB.")


class FoldPreprocessing(Pass):
    """Compute ``(pixel * scale - mean) / std`` inside the model, and take pixels as a camera or decoder gives them.

    The change is recorded in the model: data prepared for the original input is converted, wherever it is used.
    """

    id = "graph.fold-preprocessing"
    title = "Fold preprocessing"
    family = "graph"
    exact = True
    changes_interface = True
    summary = "Take raw pixels, and normalize them inside the model."
    Params: ClassVar[type[Params]] = FoldPreprocessingParams

    def survey(self, model: ir.Model, params: FoldPreprocessingParams, device: Device | None, scope: Scope) -> Survey:
        """Fold into a copy whose weights are not read."""
        from .infer import for_survey
        from .outcome import size_range, surveyed, weight_bytes
        from .preprocess import fold
        from .workspace import Workspace

        space = Workspace(for_survey(model), scope)
        try:
            how = fold(space, params)
        except PassError as error:
            return Survey(applies=False, summary=error.message, why_not=error.message)
        speed = Range(low=0.95, high=1.05, reason=SPEED) if device is not None else None
        return surveyed(space, how, WHY_NOT, speed, size_range(weight_bytes(model), space))

    def apply(self, artifact: Artifact, params: FoldPreprocessingParams, context: PassContext) -> PassResult:
        """Fold the preprocessing into the model.

        Raises
        ------
        PassError
            When there is no such input, or the numbers do not suit it.
        """
        from .infer import infer_shapes
        from .outcome import finished
        from .preprocess import fold
        from .workspace import Workspace

        model = read_model(artifact)
        infer_shapes(model)
        space = Workspace(model, context.scope, context.reporter)
        how = fold(space, params)
        result = finished(space, artifact, context, WHY_NOT)
        return result if not space.edits else result.model_copy(update={"notes": {**result.notes, "folded": how}})
