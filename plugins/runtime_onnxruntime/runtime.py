"""ONNX Runtime as a runtime of Burnish."""

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

from .backends import Backend, cpu_backend, find_backends, find_unavailable
from .engine import engine, register_plugins


class OnnxRuntime(Runtime):
    """Every execution provider of the installed build, and those of installed ``onnxruntime-ep-*`` packages."""

    id: ClassVar[str] = "onnxruntime"
    title: ClassVar[str] = "ONNX Runtime"

    def version(self) -> str:
        """Give the version of the onnxruntime package."""
        return str(engine().__version__)

    def devices(self) -> tuple[Device, ...]:
        """Enumerate accelerators that a provider drives, then the CPU."""
        return tuple(backend.device for backend in self._backends())

    def unavailable(self) -> tuple[UnavailableDevice, ...]:
        """List accelerators that no provider drives, providers without a card, and plugins that fail."""
        ort = engine()
        failed = register_plugins(ort)
        return tuple(find_unavailable(ort, accelerators(), failed))

    def honours(self, device: Device) -> frozenset[str]:
        """Name the options that it has: it knows neither streams nor hints."""
        return frozenset({"threads", "pin"}) if device.kind == "cpu" else frozenset()

    def load(self, artifact: Artifact, device: Device, options: RunOptions) -> LoadedModel:
        """Load a model by path; see the contract."""
        return self._load(artifact, device, options, None)

    def load_cached(self, artifact: Artifact, device: Device, options: RunOptions, folder: Path) -> LoadedModel | None:
        """Load the graph as an earlier load optimized it; see the contract.

        Providers that compile keep what they made in ways of their own, and one file holds 2 GB at most: for
        these there is nothing to keep here.
        """
        from .cached import LARGEST

        if device.id != "CPU" or artifact.bytes > LARGEST:
            return None
        return self._load(artifact, device, options, folder)

    def _load(self, artifact: Artifact, device: Device, options: RunOptions, cache: Path | None) -> LoadedModel:
        from .model import OrtModel

        if not artifact.path.is_file():
            raise RuntimeLoadError(f"The model file {artifact.path.name} is gone.", "Restore it, or open it again.")
        return OrtModel(engine(), artifact, self._backend(device), options, cache)

    def _backend(self, device: Device) -> Backend:
        if device.id == "CPU":
            return cpu_backend()
        backends = {backend.device.id: backend for backend in self._backends()}
        if device.id not in backends:
            raise UsageError(f"ONNX Runtime has no device {device.id!r} here.", nearest(device.id, backends))
        return backends[device.id]

    def _backends(self) -> tuple[Backend, ...]:
        ort = engine()
        register_plugins(ort)
        return find_backends(ort, accelerators())
