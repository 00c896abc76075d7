"""OpenVINO's devices with their capabilities, and hardware that it does not drive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from studio.api import Accelerator, Device, DeviceKind, UnavailableDevice, cpu_device

RUNTIME = "openvino"
_KINDS: dict[str, DeviceKind] = {"CPU": "cpu", "GPU": "gpu", "NPU": "npu"}
#: A GPU comes before the CPU; an NPU after it, for it refuses many models.
_ORDER = ("gpu", "cpu", "npu", "other")
#: OPTIMIZATION_CAPABILITIES that are not element types
_NOT_PRECISIONS = frozenset({"BIN", "EXPORT_IMPORT", "WINOGRAD", "GPU_HW_MATMUL", "GPU_USM_MEMORY"})
_MEMORY = ("GPU_DEVICE_TOTAL_MEM_SIZE", "NPU_DEVICE_TOTAL_MEM_SIZE")
_DETAILS = {
    "DEVICE_ARCHITECTURE": "architecture",
    "DEVICE_TYPE": "type",
    "GPU_EXECUTION_UNITS_COUNT": "execution units",
    "NPU_COMPILER_VERSION": "compiler",
}


def find_devices(core: Any) -> tuple[Device, ...]:
    """Describe the devices that ``ov.Core().available_devices`` names."""
    found = [_device(core, name) for name in core.available_devices]
    return tuple(sorted(found, key=lambda device: _ORDER.index(device.kind)))


def find_unavailable(core: Any, cards: Sequence[Accelerator]) -> Iterator[UnavailableDevice]:
    """List the accelerators that are here while OpenVINO names no device of their kind."""
    kinds = {kind_of(name) for name in core.available_devices}
    for card in cards:
        if card.vendor != "intel":
            yield _row(card, f"OpenVINO has no plugin for {_maker(card)} hardware.", "Use the runtime 'onnxruntime'.")
        elif card.kind not in kinds:
            yield _row(card, *_intel(card))


def kind_of(name: str) -> DeviceKind:
    """Give the kind of a device by OpenVINO's name for it, such as ``GPU.0``."""
    return _KINDS.get(name.partition(".")[0], "other")


def _device(core: Any, name: str) -> Device:
    precisions = tuple(
        item for item in _property(core, name, "OPTIMIZATION_CAPABILITIES", ()) if item not in _NOT_PRECISIONS
    )
    if name == "CPU":
        return cpu_device(RUNTIME, precisions, "oneDNN")
    memory = next((int(size) for key in _MEMORY if (size := _property(core, name, key, 0))), None)
    details = {label: str(_property(core, name, key, "")) for key, label in _DETAILS.items()}
    return Device(
        runtime=RUNTIME,
        id=name,
        name=str(_property(core, name, "FULL_DEVICE_NAME", name)),
        kind=kind_of(name),
        precisions=precisions,
        memory_bytes=memory,
        driver=str(_property(core, name, "NPU_DRIVER_VERSION", "")),
        details={label: value for label, value in details.items() if value},
    )


def _property(core: Any, device: str, name: str, missing: Any) -> Any:
    """Read a property; devices differ in which they have, and a driver may fail to answer."""
    try:
        return core.get_property(device, name)
    except Exception:
        return missing


def _intel(card: Accelerator) -> tuple[str, str]:
    if not card.driver:
        return (
            "No kernel driver has claimed it.",
            "Install a kernel with the driver (i915 or xe; intel_vpu for an NPU).",
        )
    if not card.accessible:
        return f"This user may not open {card.node}.", "Add the user to the group 'render' and log in again."
    if card.kind == "npu":
        return "OpenVINO finds no NPU driver.", "Install intel-level-zero-npu and intel-driver-compiler-npu."
    return "OpenVINO finds no OpenCL driver for it.", "Install intel-opencl-icd, Intel's compute runtime."


def _maker(card: Accelerator) -> str:
    return {"nvidia": "NVIDIA", "amd": "AMD"}.get(card.vendor, card.vendor.capitalize())


def _row(card: Accelerator, reason: str, remedy: str) -> UnavailableDevice:
    return UnavailableDevice(runtime=RUNTIME, name=card.name, kind=card.kind, reason=reason, remedy=remedy)
