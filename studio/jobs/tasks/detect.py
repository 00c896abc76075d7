"""Detect the devices of this machine."""

from __future__ import annotations

from typing import Any

from studio.core.device import Device, UnavailableDevice
from studio.core.environment import Environment, fingerprint
from studio.core.frozen import Frozen
from studio.core.report import Reporter
from studio.locations import load_registry


class Detected(Frozen):
    """Devices that work, hardware that does not, and the machine's fingerprint.

    `honours` maps a device's spec to the options of `RunOptions` that its runtime has there.
    """

    devices: tuple[Device, ...]
    unavailable: tuple[UnavailableDevice, ...]
    runtimes: dict[str, str]
    environment: Environment
    honours: dict[str, tuple[str, ...]] = {}


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:  # noqa: ARG001
    """Ask every runtime; the payload is empty; gives a `Detected`."""
    devices: list[Device] = []
    unavailable: list[UnavailableDevice] = []
    versions: dict[str, str] = {}
    honours: dict[str, tuple[str, ...]] = {}
    runtimes = load_registry().runtimes()
    for index, runtime in enumerate(runtimes):
        reporter.progress(index, len(runtimes), runtime.title)
        reporter.check()
        try:
            versions[runtime.id] = runtime.version()
            found_here = runtime.devices()
            honours.update((device.spec, tuple(sorted(runtime.honours(device)))) for device in found_here)
            devices.extend(found_here)
            unavailable.extend(runtime.unavailable())
        except Exception as error:  # one broken runtime must not hide the others
            unavailable.append(_broken(runtime.id, runtime.title, error))
    found = Detected(
        devices=tuple(devices),
        unavailable=tuple(unavailable),
        runtimes=versions,
        environment=fingerprint(),
        honours=honours,
    )
    return found.model_dump(mode="json")


def _broken(runtime: str, title: str, error: Exception) -> UnavailableDevice:
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return UnavailableDevice(
        runtime=runtime,
        name=title,
        kind="other",
        reason=f"The runtime cannot be used: {type(error).__name__}: {text[:200]}.",
        remedy=f"Reinstall it: pip install --force-reinstall {runtime}",
    )
