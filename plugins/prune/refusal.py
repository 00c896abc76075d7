"""Which steps may not come before pruning."""

from __future__ import annotations

from studio.api import Step


def after_quantization(earlier: tuple[Step, ...]) -> str:
    """Say that quantized weights are not pruned; empty when none are."""
    before = next((step.pass_id for step in earlier if step.enabled and step.pass_id.startswith("quantize.")), "")
    if before in ("", "quantize.float16"):
        return ""
    return f"{before} came before, and quantized weights are not pruned: prune first."
