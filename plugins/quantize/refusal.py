"""Which steps may not come before a quantization."""

from __future__ import annotations

from studio.api import Step


def refusal(earlier: tuple[Step, ...], *, half: bool = False) -> str:
    """Say why a quantization may not follow these steps; empty when it may.

    Parameters
    ----------
    earlier
        The steps before; those switched off do not count.
    half
        Whether the quantization asked about is float16 or bfloat16.
    """
    before = next((step.pass_id for step in earlier if step.enabled and step.pass_id.startswith("quantize.")), "")
    if not before:
        return ""
    if before in ("quantize.float16", "quantize.bfloat16"):
        if half:
            return f"The model is in 16 bits already: {before} came before."
        return f"{before} came before, and INT8 needs the float32 weights: remove one of the two."
    if half:
        return f"{before} came before, and 16 bits cannot convert quantized operators: remove one of the two."
    return f"The model is quantized already: {before} came before; remove one of the two."
