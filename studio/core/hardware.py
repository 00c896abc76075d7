"""Accelerators that the machine has, whether or not a runtime can use them; and its CPU as a device."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from studio.core.cpu import cpu_info
from studio.core.device import Device, DeviceKind
from studio.core.frozen import Frozen

#: PCI vendor to name; other vendors' display controllers are virtual or for consoles only
_VENDORS = {0x10DE: "nvidia", 0x1002: "amd", 0x1022: "amd", 0x8086: "intel", 0x17CB: "qualcomm"}
_LABELS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "qualcomm": "Qualcomm", "apple": "Apple"}
#: PCI base class to kind: display controller, processing accelerator
_CLASSES: dict[int, DeviceKind] = {0x03: "gpu", 0x12: "npu"}


class Accelerator(Frozen):
    """A GPU or NPU as the system shows it.

    Attributes
    ----------
    vendor
        ``"nvidia"``, ``"amd"``, ``"intel"``, ``"qualcomm"`` or ``"apple"``.
    driver
        Version of the driver (NVIDIA) or name of the kernel's driver; empty when none has claimed it.
    node
        Device file that programs open, such as ``/dev/dri/renderD128``; empty when there is none.
    accessible
        Whether this user may open `node`.
    details
        What else is known, for people: utilization, temperature, compute capability.
    """

    kind: DeviceKind
    vendor: str
    name: str
    driver: str = ""
    memory_bytes: int | None = None
    node: str = ""
    accessible: bool = True
    details: dict[str, str] = {}


def accelerators(root: Path = Path("/"), nvml: Any = None, system: str | None = None) -> tuple[Accelerator, ...]:
    """List the GPUs and NPUs of this machine; NVIDIA's first, in the order of NVML.

    Parameters
    ----------
    root
        Root of the file system in which ``sys`` and ``dev`` are looked up.
    nvml
        A module with the interface of pynvml; nvidia-ml-py's where None.
    system
        Name of the platform as ``platform.system()`` gives it; asked for where None.
    """
    system = system or platform.system()
    cards = list(nvidia_cards(nvml))
    others: list[Accelerator] = []
    if system == "Linux":
        found = [*_pci(root), *_without_pci(root)]
        others = [item for item in found if not (cards and item.vendor == "nvidia")]
    elif system == "Darwin" and platform.machine() == "arm64":
        others = [Accelerator(kind=kind, vendor="apple", name=name) for kind, name in _apple()]
    return (*cards, *others)


def nvidia_cards(nvml: Any = None) -> tuple[Accelerator, ...]:
    """List NVIDIA cards through NVML; none where its library or the driver is missing."""
    nvml = nvml or _pynvml()
    if nvml is None:
        return ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        return tuple(_nvidia_card(nvml, index, driver) for index in range(nvml.nvmlDeviceGetCount()))
    except nvml.NVMLError:
        return ()
    finally:
        nvml.nvmlShutdown()


def cpu_device(runtime: str, precisions: tuple[str, ...], driver: str = "") -> Device:
    """Describe the processor as a runtime's device ``CPU``.

    Parameters
    ----------
    runtime
        Id of the runtime.
    precisions
        Element types that the runtime computes in here, such as ``("FP32", "INT8")``.
    driver
        What stands between the runtime and the processor, where it says so.
    """
    import psutil

    info = cpu_info()
    details = {"logical cores": str(psutil.cpu_count(logical=True))}
    if info.hypervisor:
        details["virtual machine"] = "yes"
    return Device(
        runtime=runtime,
        id="CPU",
        name=info.name,
        kind="cpu",
        instruction_sets=info.instruction_sets,
        precisions=precisions,
        cores=psutil.cpu_count(logical=False),
        memory_bytes=psutil.virtual_memory().total,
        driver=driver,
        details=details,
    )


def _pynvml() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def _nvidia_card(nvml: Any, index: int, driver: str) -> Accelerator:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    return Accelerator(
        kind="gpu",
        vendor="nvidia",
        name=_text(nvml.nvmlDeviceGetName(handle)),
        driver=driver,
        memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        node=f"/dev/nvidia{index}",
        details=dict(_nvidia_details(nvml, handle)),
    )


def _nvidia_details(nvml: Any, handle: Any) -> Iterator[tuple[str, str]]:
    """Give what this card's driver can tell; some cards and virtual GPUs lack some counters."""
    readers: dict[str, Callable[[], str]] = {
        "uuid": lambda: _text(nvml.nvmlDeviceGetUUID(handle)),
        "compute capability": lambda: "{}.{}".format(*nvml.nvmlDeviceGetCudaComputeCapability(handle)),
        "utilization": lambda: f"{nvml.nvmlDeviceGetUtilizationRates(handle).gpu} %",
        "memory in use": lambda: f"{nvml.nvmlDeviceGetMemoryInfo(handle).used / 2**20:.0f} MiB",
    }
    for label, read in readers.items():
        try:
            yield label, read()
        except nvml.NVMLError:
            continue


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _pci(root: Path) -> Iterator[Accelerator]:
    """Walk the PCI bus: it shows cards that no driver has claimed, too."""
    for folder in sorted((root / "sys/bus/pci/devices").glob("*")):
        kind = _CLASSES.get(_number(folder / "class") >> 16)
        if kind is not None:
            yield from _described(root, folder, kind)


def _without_pci(root: Path) -> Iterator[Accelerator]:
    """Find what containers show when they hide the PCI bus: class folders, else NVIDIA's device files."""
    if any((root / "sys/bus/pci/devices").glob("*")):
        return
    for pattern, kind in (("drm/renderD*", "gpu"), ("accel/accel*", "npu")):
        for folder in sorted((root / "sys/class").glob(pattern)):
            yield from _described(root, folder / "device", "gpu" if kind == "gpu" else "npu")
    for node in sorted((root / "dev").glob("nvidia[0-9]*")):
        yield Accelerator(
            kind="gpu", vendor="nvidia", name="NVIDIA GPU", node=f"/dev/{node.name}", accessible=_opens(node)
        )


def _described(root: Path, folder: Path, kind: DeviceKind) -> Iterator[Accelerator]:
    vendor = _VENDORS.get(_number(folder / "vendor"))
    if vendor is None:
        return
    node = _node(root, folder, kind)
    label = "GPU" if kind == "gpu" else "NPU"
    yield Accelerator(
        kind=kind,
        vendor=vendor,
        name=f"{_LABELS[vendor]} {label} {_number(folder / 'vendor'):04x}:{_number(folder / 'device'):04x}",
        driver=(folder / "driver").resolve().name if (folder / "driver").exists() else "",
        memory_bytes=_number(folder / "mem_info_vram_total") or None,
        node=f"/{node.relative_to(root)}" if node else "",
        accessible=node is None or _opens(node),
    )


def _node(root: Path, folder: Path, kind: DeviceKind) -> Path | None:
    pattern, parent = ("drm/renderD*", "dri") if kind == "gpu" else ("accel/accel*", "accel")
    names = sorted(path.name for path in folder.glob(pattern))
    nodes = [root / "dev" / parent / name for name in names]
    return next((node for node in nodes if node.exists()), None)


def _opens(node: Path) -> bool:
    return os.access(node, os.R_OK | os.W_OK)


def _number(path: Path) -> int:
    """Read a number such as ``0x8086`` from a file of sysfs; 0 when it is not there."""
    try:
        return int(path.read_text(encoding="ascii").strip(), 0)
    except (OSError, ValueError):
        return 0


def _apple() -> tuple[tuple[DeviceKind, str], ...]:
    return (("gpu", f"{cpu_info().name} GPU"), ("npu", f"{cpu_info().name} Neural Engine"))
