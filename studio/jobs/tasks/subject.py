"""What is measured or evaluated: a model under a name on a device."""

from __future__ import annotations

from studio.core.artifact import Artifact
from studio.core.device import Device
from studio.core.frozen import Frozen


class Subject(Frozen):
    """A model under a name on a device; `refused` says why that device must not run it, where that is known."""

    name: str
    artifact: Artifact
    device: Device
    refused: str = ""

    @property
    def key(self) -> str:
        """Name the series of its samples: ``NAME @ RUNTIME:DEVICE``."""
        return f"{self.name} @ {self.device.spec}"
