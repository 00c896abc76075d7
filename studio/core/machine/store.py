"""The calibration kept on the disk, for the hardware and versions that it holds for."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from studio.core.atomic import write_atomic
from studio.core.environment import Environment
from studio.core.machine.profile import MachineProfile, machine_key


class MachineStore:
    """Keeps one `MachineProfile` for each combination of hardware and versions.

    Parameters
    ----------
    folder
        Where the files lie; made when the first one is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, environment: Environment) -> MachineProfile:
        """Give the calibration that holds in an environment; one without places when there is none."""
        key = machine_key(environment)
        empty = MachineProfile(key=key, cpu=environment.cpu)
        try:
            found = MachineProfile.model_validate_json(self._path(key).read_bytes())
        except (OSError, ValidationError, ValueError):
            return empty
        return found if found.key == key else empty

    def write(self, profile: MachineProfile) -> None:
        """Keep a calibration in place of the one before.

        Raises
        ------
        StoreError
            When it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path(profile.key), profile.model_dump_json(indent=1))

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"
