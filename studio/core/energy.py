"""Energy that the processor took, where the system lets it be read (RAPL through Linux's powercap)."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/class/powercap")
NOT_READABLE = "not readable here"


class EnergyMeter:
    """Counts from its making on: the energy of all processor packages, of other programs too.

    Parameters
    ----------
    root
        Folder with the domains ``intel-rapl:0`` and so on (AMD's have the same names).
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._packages = [folder for folder in sorted(root.glob("intel-rapl:*")) if folder.name.count(":") == 1]
        self._start = [_counter(folder) for folder in self._packages]

    @property
    def readable(self) -> bool:
        """Whether this system has counters that this user may read."""
        return bool(self._start) and None not in self._start

    def joules(self) -> float | None:
        """Give the energy so far in joules; None where it cannot be read."""
        now = [_counter(folder) for folder in self._packages]
        total = 0.0
        for folder, before, after in zip(self._packages, self._start, now, strict=True):
            if before is None or after is None:
                return None
            # the counter starts anew at its range, which takes a minute or so at full power
            total += (after - before) % (_range(folder) or 1 << 62)
        return total / 1e6 if now else None


def _counter(folder: Path) -> int | None:
    return _number(folder / "energy_uj")


def _range(folder: Path) -> int:
    return (_number(folder / "max_energy_range_uj") or 0) + 1


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
