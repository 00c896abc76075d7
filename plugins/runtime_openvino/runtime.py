"""OpenVINO as a runtime of Burnish."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from studio.api import (
    Artifact,
    Device,
    LoadedModel,
    RunOptions,
    Runtime,
    RuntimeLoadError,
    UnavailableDevice,
    UsageError,
    accelerators,
    nearest,
)

from .devices import find_devices, find_unavailable


class OpenVino(Runtime):
    """The CPU, and the GPUs and NPUs that OpenVINO finds; AUTO and HETERO are not used."""

    id: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"

    def version(self) -> str:
        """Give the release, such as ``2026.4.1``."""
        import openvino

        return str(openvino.__version__).partition("-")[0]

    def devices(self) -> tuple[Device, ...]:
        """Enumerate what ``ov.Core`` can compile for: GPUs, the CPU, NPUs."""
        import openvino

        return find_devices(openvino.Core())

    def unavailable(self) -> tuple[UnavailableDevice, ...]:
        """List accelerators that OpenVINO does not drive here."""
        import openvino

        return tuple(find_unavailable(openvino.Core(), accelerators()))

    def honours(self, device: Device) -> frozenset[str]:
        """Name the options that the device's plugin has."""
        import openvino

        from .options import honoured_fields

        return honoured_fields(openvino.Core(), device.id)

    def load(self, artifact: Artifact, device: Device, options: RunOptions) -> LoadedModel:
        """Read and compile a model; see the contract."""
        return self._load(artifact, device, options, None)

    def load_cached(self, artifact: Artifact, device: Device, options: RunOptions, folder: Path) -> LoadedModel | None:
        """Compile with OpenVINO's model cache (``CACHE_DIR``); see the contract."""
        import openvino

        exports = "EXPORT_IMPORT" in openvino.Core().get_property(device.id, "OPTIMIZATION_CAPABILITIES")
        return self._load(artifact, device, options, folder) if exports else None

    def _load(self, artifact: Artifact, device: Device, options: RunOptions, cache: Path | None) -> LoadedModel:
        import openvino

        from .model import OpenVinoModel

        if not artifact.path.is_file():
            raise RuntimeLoadError(f"The model file {artifact.path.name} is gone.", "Restore it, or open it again.")
        known = ("CPU",) if device.id == "CPU" else openvino.Core().available_devices
        if device.id not in known:
            raise UsageError(f"OpenVINO has no device {device.id!r} here.", nearest(device.id, known))
        return OpenVinoModel(openvino, artifact, device, options, cache)
