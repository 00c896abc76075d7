"""The environment fingerprint: on what a figure was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from studio.core.cpu import CpuInfo, cpu_info
from studio.core.frozen import Frozen

LIBRARIES = ("onnx", "onnxruntime", "openvino", "numpy", "burnish")


class Environment(Frozen):
    """What the machine was like; recorded with every measurement.

    `governor` and `frequency_mhz` are None where the platform does not let them be read.
    """

    cpu: str
    instruction_sets: tuple[str, ...]
    physical_cores: int | None
    logical_cores: int | None
    memory_bytes: int
    system: str
    python: str
    libraries: dict[str, str]
    governor: str | None = None
    frequency_mhz: float | None = None
    load_average: float | None = None
    virtual_machine: str | None = None


def fingerprint() -> Environment:
    """Describe this machine now."""
    import psutil

    cpu: CpuInfo = cpu_info()
    return Environment(
        cpu=cpu.name,
        instruction_sets=cpu.instruction_sets,
        physical_cores=psutil.cpu_count(logical=False),
        logical_cores=psutil.cpu_count(logical=True),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        libraries=_versions(),
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        frequency_mhz=_frequency(),
        load_average=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        virtual_machine="yes" if cpu.hypervisor else None,
    )


def _frequency() -> float | None:
    """Frequency of the processor in MHz; virtual machines and some Arm systems have none to read, or fail to."""
    import psutil

    try:
        frequency = psutil.cpu_freq()
    except (AttributeError, NotImplementedError, OSError, RuntimeError):
        return None
    return round(frequency.current, 1) if frequency and frequency.current else None


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return None
