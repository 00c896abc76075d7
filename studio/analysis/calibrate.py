"""Calibrating this machine: every runtime on every device, once, kept for its hardware and versions."""

from __future__ import annotations

from collections.abc import Sequence

from studio.core.device import Device
from studio.core.errors import BurnishError
from studio.core.frozen import Frozen
from studio.core.machine.profile import MachineProfile, PlaceProfile
from studio.jobs.tasks.calibrate import CalibratePlace
from studio.workbench import Watch, Workbench

#: threads that surveys are calibrated with: a second thread waits whenever anything else runs, and what one
#: core can do at one precision against another is what a survey asks
THREADS = 1


class Uncalibrated(Frozen):
    """A device that could not be calibrated."""

    device: str
    message: str
    hint: str


class Calibration(Frozen):
    """The machine's profile, which devices of it were measured just now, and which could not be."""

    profile: MachineProfile
    measured: tuple[str, ...]
    failures: tuple[Uncalibrated, ...] = ()


def calibrate(
    work: Workbench,
    devices: Sequence[Device],
    *,
    renew: bool = False,
    threads: int | None = THREADS,
    watch: Watch | None = None,
) -> Calibration:
    """Measure what devices can do, those only that were not measured before; kept after each device.

    Parameters
    ----------
    renew
        Measure again what is known.
    threads
        Threads of an inference; a device that was measured with another number is measured again.

    Raises
    ------
    StoreError
        When the result cannot be written.
    Cancelled
        When it was stopped; devices that are complete are kept.
    """
    profile = work.machine()
    measured: list[str] = []
    failures: list[Uncalibrated] = []
    for device in devices:
        known = profile.place(device.spec)
        if known is not None and known.options.threads == threads and not renew:
            continue
        try:
            place = _place(work, device, threads, watch)
        except BurnishError as error:
            failures.append(Uncalibrated(device=device.spec, message=error.message, hint=error.hint))
            continue
        profile = profile.with_place(place)
        measured.append(device.spec)
        work.machines.write(profile)
    return Calibration(profile=profile, measured=tuple(measured), failures=tuple(failures))


def _place(work: Workbench, device: Device, threads: int | None, watch: Watch | None) -> PlaceProfile:
    request = CalibratePlace(device=device.spec, threads=threads)
    found = work.run_task("calibrate", request, f"calibrate {device.spec}", exclusive=True, fresh=True, watch=watch)
    return PlaceProfile.model_validate(found)
