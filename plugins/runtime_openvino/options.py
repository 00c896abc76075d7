"""RunOptions as OpenVINO's properties, with what was not honoured said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.api import RunOptions

_LABELS = {
    "INFERENCE_NUM_THREADS": "threads",
    "NUM_STREAMS": "streams",
    "INFERENCE_PRECISION_HINT": "precision",
    "ENABLE_CPU_PINNING": "pinning",
}
_FIELDS = {
    "INFERENCE_NUM_THREADS": "threads",
    "NUM_STREAMS": "streams",
    "PERFORMANCE_HINT": "hint",
    "INFERENCE_PRECISION_HINT": "precision",
    "ENABLE_CPU_PINNING": "pin",
}
#: openvino.Type's names of what RunOptions.precision names
_TYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


def wanted_properties(options: RunOptions) -> dict[str, Any]:
    """Give the properties that the options ask for; what is left open stays OpenVINO's default."""
    wanted: dict[str, Any] = {"PERFORMANCE_HINT": options.hint.upper()}
    if options.threads is not None:
        wanted["INFERENCE_NUM_THREADS"] = options.threads
    if options.streams is not None:
        wanted["NUM_STREAMS"] = options.streams
    if options.precision == "model":
        # else a float32 model runs in bfloat16 on a CPU that has it, and in float16 on a GPU, without a word
        wanted["EXECUTION_MODE_HINT"] = "ACCURACY"
    elif options.precision != "engine":
        wanted["INFERENCE_PRECISION_HINT"] = options.precision
    if options.pin:
        wanted["ENABLE_CPU_PINNING"] = True
    return wanted


def supported_properties(core: Any, device: str, options: RunOptions) -> dict[str, Any]:
    """Leave out what the device does not have: it would refuse the model otherwise."""
    known = core.get_property(device, "SUPPORTED_PROPERTIES")
    return {name: value for name, value in wanted_properties(options).items() if name in known}


def honoured_fields(core: Any, device: str) -> frozenset[str]:
    """Name the fields of `RunOptions` that a device has a property for."""
    known = core.get_property(device, "SUPPORTED_PROPERTIES")
    return frozenset(field for name, field in _FIELDS.items() if name in known)


def not_honoured(compiled: Any, device: str, options: RunOptions) -> Iterator[str]:
    """Compare what was asked for with what the compiled model says it does."""
    known = compiled.get_property("SUPPORTED_PROPERTIES")
    for name, value in wanted_properties(options).items():
        label = _LABELS.get(name)
        if label is None:
            continue
        if name not in known:
            yield f"OpenVINO's {device} has no option for {label}; {_text(value)} changed nothing."
        elif (got := _text(compiled.get_property(name))) != _text(value):
            yield f"OpenVINO's {device} uses {label} {got} instead of {_text(value)}."


def _text(value: Any) -> str:
    kind = getattr(value, "get_type_name", None)
    return kind() if kind else str(value)
