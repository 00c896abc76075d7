"""What Linux tells in files about heat, power and memory; each reading is None where there is no such file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
_CPUS = "sys/devices/system/cpu/cpu[0-9]*"
#: types of thermal zones and of hardware monitors that are the processor's
_PROCESSOR = ("x86_pkg_temp", "coretemp", "k10temp", "zenpower", "cpu", "soc", "acpitz")
_LIMITS = ("critical", "hot")


def governor(root: Path = ROOT) -> str | None:
    """Give the frequency governor; all of them where the cores differ."""
    names = {_text(path) for path in root.glob(f"{_CPUS}/cpufreq/scaling_governor")} - {None}
    return ", ".join(sorted(name for name in names if name)) or None


def throttles(root: Path = ROOT) -> int | None:
    """Count how often cores and packages were slowed down for heat since the system started (x86 only)."""
    counts = [_number(path) for path in root.glob(f"{_CPUS}/thermal_throttle/*_throttle_count")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def memory_stall(root: Path = ROOT) -> float | None:
    """Give the seconds in which some program waited for memory (pressure stall information)."""
    for line in (_text(root / "proc/pressure/memory") or "").splitlines():
        kind, *fields = line.split()
        total = dict(field.partition("=")[::2] for field in fields).get("total", "")
        if kind == "some" and total.isdigit():
            return int(total) / 1e6
    return None


def quota_stall(root: Path = ROOT) -> float | None:
    """Give the seconds for which a container's processor quota held its programs back (control groups 2)."""
    for line in (_text(root / "sys/fs/cgroup/cpu.stat") or "").splitlines():
        name, _, value = line.partition(" ")
        if name == "throttled_usec" and value.isdigit():
            return int(value) / 1e6
    return None


def temperature(root: Path = ROOT) -> tuple[float, float | None] | None:
    """Give the processor's temperature and its limit in degrees Celsius: of the zone that is nearest to its limit."""
    found = [*_zones(root), *_monitors(root)]
    return min(found, key=lambda item: (item[1] or 1000.0) - item[0], default=None)


def _zones(root: Path) -> Iterator[tuple[float, float | None]]:
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        kind, degrees = _text(zone / "type") or "", _number(zone / "temp")
        if degrees is None or not kind.lower().startswith(_PROCESSOR):
            continue
        trips = {
            _text(path): _number(path.with_name(path.name.replace("_type", "_temp")))
            for path in zone.glob("trip_point_*_type")
        }
        limits = [limit for kind, limit in trips.items() if kind in _LIMITS and limit]
        yield degrees / 1000, min(limits) / 1000 if limits else None


def _monitors(root: Path) -> Iterator[tuple[float, float | None]]:
    for monitor in sorted(root.glob("sys/class/hwmon/hwmon*")):
        if not (_text(monitor / "name") or "").lower().startswith(_PROCESSOR):
            continue
        for path in sorted(monitor.glob("temp*_input")):
            degrees = _number(path)
            if degrees is not None:
                limit = _number(path.with_name(path.name.replace("_input", "_crit")))
                yield degrees / 1000, limit / 1000 if limit else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    try:
        return int(_text(path) or "")
    except ValueError:
        return None
