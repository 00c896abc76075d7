"""A place to run: a runtime with one of its devices."""

from __future__ import annotations

from dataclasses import dataclass

from studio.core.device import Device
from studio.core.runtime import Runtime


@dataclass(frozen=True)
class Place:
    """A runtime with the device of it to use."""

    runtime: Runtime
    device: Device

    @property
    def spec(self) -> str:
        """Give ``RUNTIME:DEVICE``."""
        return self.device.spec
