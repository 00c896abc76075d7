"""Devices: what can run a model here, and what cannot and why."""

from __future__ import annotations

from typing import Literal

from studio.core.errors import UsageError, nearest
from studio.core.frozen import Frozen

DeviceKind = Literal["cpu", "gpu", "npu", "other"]


class Device(Frozen):
    """A device as one runtime sees it.

    `spec` (``"openvino:CPU"``) names it on the command line and in recipes.
    """

    runtime: str
    id: str
    name: str
    kind: DeviceKind
    instruction_sets: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    cores: int | None = None
    memory_bytes: int | None = None
    driver: str = ""
    details: dict[str, str] = {}

    @property
    def spec(self) -> str:
        """Give ``RUNTIME:DEVICE``."""
        return f"{self.runtime}:{self.id}"

    @property
    def label(self) -> str:
        """Give a short text for people, such as ``"openvino · CPU AVX2"``."""
        return " · ".join(part for part in (self.runtime, f"{self.id} {self.best_instruction_set}".strip()) if part)

    @property
    def best_instruction_set(self) -> str:
        """The set that decides the speed of arithmetic here; empty when unknown."""
        order = ("AMX", "AVX512-VNNI", "AVX-VNNI", "AVX512", "AVX2", "AVX", "SVE", "I8MM", "DOTPROD", "NEON", "SSE4.2")
        return next((name for name in order if name in self.instruction_sets), "")

    @property
    def fast_int8(self) -> bool:
        """Whether 8-bit dot products have instructions of their own here (VNNI, AMX, dot product)."""
        return bool({"AMX", "AVX512-VNNI", "AVX-VNNI", "DOTPROD", "I8MM"} & set(self.instruction_sets)) or (
            self.kind in ("gpu", "npu") and "INT8" in self.precisions
        )


class UnavailableDevice(Frozen):
    """Hardware or a provider that is here but cannot be used, with the reason and the remedy."""

    runtime: str
    name: str
    kind: DeviceKind
    reason: str
    remedy: str


def find_device(devices: tuple[Device, ...], spec: str) -> Device:
    """Find a device by ``RUNTIME:DEVICE`` or by ``RUNTIME`` alone (its first device); case is ignored.

    Raises
    ------
    UsageError
        When there is none of that name.
    """
    wanted = spec.strip().lower()
    for device in devices:
        if wanted in (device.spec.lower(), device.runtime.lower()):
            return device
    raise UsageError(
        f"There is no device {spec!r} here.",
        f"{nearest(spec, [device.spec for device in devices])} 'burnish devices' lists them.".strip(),
    )
