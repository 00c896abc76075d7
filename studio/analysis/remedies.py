"""What to do about a cause, as an edit of the recipe where one helps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from studio.core.diagnosis.causes import Side
from studio.core.diagnosis.explanation import Cause, Remedy

#: nodes named in a step: with more of them whole operators are better left out
_MOST = 12
_INTEGER_OPERATORS = ("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "DynamicQuantizeMatMul")


def with_remedies(causes: Iterable[Cause], baseline: Side, variant: Side) -> tuple[Cause, ...]:
    """Give each cause that slows the variant down what to do about it, where something is known."""
    return tuple(
        cause.model_copy(update={"remedy": _remedy(cause, baseline, variant)}) if cause.milliseconds > 0 else cause
        for cause in causes
    )


def _remedy(cause: Cause, baseline: Side, variant: Side) -> Remedy | None:
    if cause.kind in ("no fast kernel", "memory-bound", "too small"):
        return _leave_in_float(cause, variant)
    if cause.kind == "conversion":
        return _fewer_conversions(variant)
    if cause.kind == "fusion lost":
        return _fuse(variant)
    if cause.kind == "reorder":
        return Remedy(text="Clean the graph up: transposes that cancel are removed.", step="graph.clean")
    if cause.kind == "still in float":
        return _quantize_more(cause, variant)
    if cause.kind == "oversubscription":
        return Remedy(text=f"Use at most {variant.cores} threads here: --threads {variant.cores}.")
    if cause.kind == "fallback":
        operators = ", ".join(dict.fromkeys(delta.variant_kernel for delta in cause.layers if delta.variant_kernel))
        return Remedy(text=f"Replace what {variant.profile.device} does not run ({operators}), or use another device.")
    if cause.kind == "device":
        return Remedy(text=f"Run it on {baseline.profile.device}.")
    return None


def _dynamic(variant: Side) -> bool:
    return any(layer.operator in _INTEGER_OPERATORS for layer in variant.profile.layers) or any(
        name.endswith("_quant") for layer in variant.profile.layers for name in layer.nodes
    )


def _leave_in_float(cause: Cause, variant: Side) -> Remedy:
    """Leave the layers in float that gain nothing from fewer bits: by operator where all of them lose."""
    slower = [delta for delta in cause.layers if delta.milliseconds > 0]
    if _dynamic(variant):
        convolutions = any("Conv" in delta.variant_kernel for delta in slower)
        if convolutions:
            return Remedy(
                text="Leave the convolutions in float: quantize MatMul and Gemm only.",
                step="quantize.dynamic:operators=MatMul|Gemm",
            )
        return _exclude("quantize.dynamic", [name for delta in slower for name in delta.origins])
    return _exclude("quantize.static", [name for delta in slower for name in delta.origins])


def _exclude(step: str, nodes: Sequence[str]) -> Remedy:
    names = list(dict.fromkeys(nodes))
    usable = [name for name in names if not set(name) & set(",|=")][:_MOST]
    if not usable:
        return Remedy(text="Leave these layers in float.")
    some = "these layers" if len(usable) == len(names) else f"the {len(usable)} slowest of these layers"
    return Remedy(text=f"Leave {some} in float.", step=f"{step}:scope.exclude={'|'.join(usable)}")


def _fewer_conversions(variant: Side) -> Remedy:
    if _dynamic(variant):
        return Remedy(
            text="Quantize statically: ranges are then known, and nothing is measured while the model runs.",
            step="quantize.static",
        )
    if any(layer.integer for layer in variant.profile.layers):
        return Remedy(
            text="Keep the operators between quantized layers in 8 bits too.", step="quantize.static:between=true"
        )
    return Remedy(text="Leave the model in float32 where the device does not compute in the smaller type.")


def _fuse(variant: Side) -> Remedy:
    if any(layer.integer for layer in variant.profile.layers) and not _dynamic(variant):
        return Remedy(
            text="Quantize what lies between the layers too, so that it can be fused again.",
            step="quantize.static:between=true",
        )
    if _dynamic(variant):
        return Remedy(
            text="Fold batch normalization and fuse before quantizing; quantize MatMul and Gemm only.",
            step="quantize.dynamic:operators=MatMul|Gemm",
        )
    return Remedy(text="Fuse the operators in the graph.", step="graph.fuse")


def _quantize_more(cause: Cause, variant: Side) -> Remedy:
    concerned = [layer for layer in variant.profile.layers if layer.cores and set(layer.nodes) & set(cause.nodes)]
    if any(layer.stated_integer and not layer.integer for layer in concerned):
        return Remedy(
            text=f"{variant.profile.device} runs this quantization in float: quantize statically.",
            step="quantize.static",
        )
    if any("MatMul" in layer.operator for layer in concerned):
        return Remedy(
            text="Quantize products of two activations too, unless their accuracy forbids it.",
            step="quantize.static:activation_matmul=true",
        )
    return Remedy(
        text="Quantize them too, unless their accuracy forbids it.",
        step="quantize.static:operators=Conv|Gemm|MatMul|ConvTranspose",
    )
