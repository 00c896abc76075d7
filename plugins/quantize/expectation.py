"""What to expect of 8 and 16 bit arithmetic on a device, by its instruction sets.

The ratios were measured in paired runs (batch 1, one thread) on AVX2 without VNNI, in ONNX Runtime and
OpenVINO: static QDQ 0.44-1.77 (the bundled sample 1.4-1.77, larger networks 0.44-1.12), dynamic 0.15-0.4
with Conv and 0.99-1.64 without, float16 0.98-1.01; those with VNNI are what the engines publish.
"""

from __future__ import annotations

from typing import Literal

from studio.api import Device, Range, cpu_info

Switch = Literal["auto", "on", "off"]

#: instruction sets whose 8-bit multiply-add (vpmaddubsw) saturates at 16 bits
_SATURATING = frozenset({"AVX512", "AVX2", "AVX", "SSE4.2"})
_UNSURE = "{}: no 8-bit dot product (VNNI, AMX); it gains or loses by the shapes and the engine: measure it"
_BRAIN_ARITHMETIC = frozenset({"AVX512-BF16", "AMX-BF16", "BF16"})
_HALF_ARITHMETIC = frozenset({"AVX512-FP16", "FP16", "AMX-FP16"})


def assumed(device: Device | None) -> Device:
    """Give the device, or this machine's processor when none was chosen or its instruction sets are unknown."""
    if device is not None and (device.kind != "cpu" or device.instruction_sets):
        return device
    here = cpu_info()
    return Device(runtime="", id="CPU", name=here.name, kind="cpu", instruction_sets=here.instruction_sets)


def reduce_range(switch: Switch, weight_type: str, device: Device | None) -> bool:
    """Decide whether weights get 7 bits instead of 8.

    With signed weights the x86 instruction ``vpmaddubsw`` adds two products in 16 bits and saturates;
    7-bit weights cannot reach that. VNNI, AMX and Arm's dot product add in 32 bits. Unsigned weights
    take another instruction. See "Quantize ONNX Models" in ONNX Runtime's documentation.
    """
    if switch != "auto":
        return switch == "on"
    where = assumed(device)
    saturates = where.kind == "cpu" and not where.fast_int8 and bool(_SATURATING & set(where.instruction_sets))
    return saturates and weight_type == "int8"


def static_speed(device: Device) -> Range:
    """Expect of static INT8."""
    name = _name(device)
    if device.fast_int8:
        return Range(low=1.5, high=3.5, reason=f"{name} has 8-bit dot products; operators left in float lower it")
    return Range(low=0.45, high=1.8, reason=_UNSURE.format(name))


def dynamic_speed(device: Device, convolutions: bool) -> Range:
    """Expect of dynamic INT8."""
    name = _name(device)
    if convolutions and not device.fast_int8:
        return Range(low=0.15, high=0.4, reason=f"ConvInteger is 3-6 times slower than float on {name}")
    if convolutions:
        return Range(low=0.3, high=1.5, reason="ConvInteger has no fast kernel; only MatMul gains")
    if device.fast_int8:
        return Range(low=1.1, high=2.5, reason=f"{name} has 8-bit dot products; each input is quantized on every run")
    return Range(low=0.7, high=1.7, reason=_UNSURE.format(name))


def half_speed(device: Device) -> Range:
    """Expect of float16."""
    name = _name(device)
    if device.kind in ("gpu", "npu") and "FP16" in device.precisions:
        return Range(low=1.2, high=2.0, reason=f"{device.kind.upper()} with FP16 arithmetic")
    if _HALF_ARITHMETIC & set(device.instruction_sets):
        return Range(low=1.0, high=1.9, reason=f"{name} has FP16 arithmetic")
    return Range(low=0.8, high=1.05, reason=f"{name} has no FP16 arithmetic: the engine converts to FP32 and back")


def brain_speed(device: Device, *, compute: bool) -> Range:
    """Expect of bfloat16."""
    name = _name(device)
    if device.kind != "cpu" and "BF16" in device.precisions:
        return Range(low=1.0, high=2.0, reason=f"{device.kind.upper()} with BF16 arithmetic")
    if _BRAIN_ARITHMETIC & set(device.instruction_sets):
        return Range(low=1.0, high=2.5, reason=f"{name} has BF16 arithmetic; engines use it for MatMul and Conv")
    if compute:
        return Range(low=0.7, high=1.05, reason=f"{name} has no BF16 arithmetic: the engine converts to FP32 and back")
    return Range(low=0.9, high=1.05, reason=f"{name} has no BF16 arithmetic: weights become FP32 on loading")


def _name(device: Device) -> str:
    best = device.best_instruction_set
    if device.kind != "cpu":
        return device.name or device.kind.upper()
    return f"{best} without VNNI" if best.startswith("AVX") and not device.fast_int8 else best or "this processor"
