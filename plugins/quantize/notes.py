"""What a user should know before or after a quantization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .calibration import Ranges
from .graph import subgraph_candidates
from .selection import Selection, embeds_patches

if TYPE_CHECKING:
    import onnx_ir as ir

#: below this many samples the ranges depend on chance
FEW_SAMPLES = 16
#: above this many bytes of weights, say that the quantizer holds them in memory
_LARGE = 2 << 30


def static_advice(
    model: ir.Model, selection: Selection, operators: Iterable[str], activation_type: str
) -> tuple[str, ...]:
    """Give the warnings of a static quantization of this model."""
    notes = [*skipped_note(selection.skipped), *left_in_float(model, operators)]
    loose = sum(1 for node in model.graph if _loose_batch_norm(node, selection))
    if loose:
        notes.append(f"{loose} BatchNormalization follow a quantized operator: fold them first, it saves accuracy.")
    if any(embeds_patches(node) for node in selection.nodes):
        notes.append(
            "OpenVINO has given wrong results for a quantized patch embedding of a vision transformer with a dynamic "
            "batch: compare its accuracy, or leave that Conv in float."
        )
    if activation_type == "uint16":
        notes.append("With 16-bit activations engines compute in float: expect no gain in time.")
        notes.append("OpenVINO 2026.4 computes 16-bit activations wrongly: run the result in ONNX Runtime.")
    return tuple(notes)


def dynamic_advice(model: ir.Model, selection: Selection, operators: Iterable[str]) -> tuple[str, ...]:
    """Give the warnings of a dynamic quantization of this model."""
    notes = [*skipped_note(selection.skipped), *left_in_float(model, operators)]
    kinds = {node.op_type for node in selection.nodes}
    if "Conv" in kinds:
        notes.append(
            "ConvInteger is 3-6 times slower than float convolution, and its weights share one scale: "
            "this saves size, at a cost in time and accuracy."
        )
    if "LSTM" in kinds:
        notes.append("DynamicQuantizeLSTM is an operator of ONNX Runtime: other engines may not know it.")
    return tuple(notes)


def left_in_float(model: ir.Model, operators: Iterable[str]) -> tuple[str, ...]:
    """Say what the passes cannot reach, and what very large models cost."""
    notes = []
    inner = subgraph_candidates(model.graph, operators)
    if inner:
        notes.append(f"{inner} operators inside If, Loop or Scan stay in float.")
    if model.functions:
        notes.append("Operators inside the model's own functions stay in float.")
    held = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    if held > _LARGE:
        notes.append(f"ONNX Runtime's quantizer holds all weights in memory: about {2 * held >> 30} GB at its peak.")
    return tuple(notes)


def data_notes(ranges: Ranges, *, synthetic: bool) -> tuple[str, ...]:
    """Say what the calibration data lets one doubt."""
    notes = []
    if synthetic:
        notes.append("Calibrated on generated inputs: ranges of real data differ; give real data before deploying.")
    if ranges.samples < FEW_SAMPLES:
        notes.append(f"Calibrated on {ranges.samples} samples only: use at least {FEW_SAMPLES}, better some hundreds.")
    if ranges.unusable:
        count = len(ranges.unusable)
        notes.append(f"{count} tensors had NaN or infinite values; the operators around them stay in float.")
    return tuple(notes)


def upgrade_note(model: ir.Model, opset: int) -> tuple[str, ...]:
    """Say that the opset is raised, when it is."""
    current = model.opset_imports.get("", 0)
    return (f"The opset is raised from {current} to {opset}.",) if current < opset else ()


def skipped_note(skipped: dict[str, str], limit: int = 3) -> tuple[str, ...]:
    """Say which nodes stay in float and why, grouped by reason."""
    groups: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        groups.setdefault(reason, []).append(name)
    return tuple(
        f"{len(names)} left in float because {reason}: {_some(names, limit)}."
        for reason, names in sorted(groups.items())
    )


def _some(names: list[str], limit: int) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _loose_batch_norm(node: ir.Node, selection: Selection) -> bool:
    if node.op_type != "BatchNormalization" or node.inputs[0] is None:
        return False
    return node.inputs[0].producer() in selection.nodes
