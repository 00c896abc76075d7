from __future__ import annotations

from pathlib import Path

from studio.core.machine import readings


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="ascii")
    return root


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert readings.governor(tmp_path) is None
    assert readings.throttles(tmp_path) is None
    assert readings.memory_stall(tmp_path) is None
    assert readings.quota_stall(tmp_path) is None
    assert readings.temperature(tmp_path) is None


def test_governors_of_all_cores(tmp_path: Path) -> None:
    cpus = "sys/devices/system/cpu"
    write(tmp_path, {f"{cpus}/cpu0/cpufreq/scaling_governor": "powersave"})
    assert readings.governor(tmp_path) == "powersave"
    write(tmp_path, {f"{cpus}/cpu11/cpufreq/scaling_governor": "performance"})
    assert readings.governor(tmp_path) == "performance, powersave"


def test_throttling_is_summed_over_cores_and_packages(tmp_path: Path) -> None:
    folder = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
    counts = {(0, "core"): "3", (0, "package"): "4", (1, "core"): "5", (1, "package"): "unreadable"}
    write(tmp_path, {folder.format(*key): text for key, text in counts.items()})
    assert readings.throttles(tmp_path) == 12


def test_stalls(tmp_path: Path) -> None:
    some = "some avg10=0.10 avg60=0.00 avg300=0.00 total=2500000"
    full = "full avg10=0.00 avg60=0.00 avg300=0.00 total=999"
    write(tmp_path, {"proc/pressure/memory": f"{some}\n{full}"})
    write(tmp_path, {"sys/fs/cgroup/cpu.stat": "usage_usec 5\nnr_throttled 2\nthrottled_usec 750000"})
    assert readings.memory_stall(tmp_path) == 2.5
    assert readings.quota_stall(tmp_path) == 0.75


def test_the_zone_nearest_to_its_limit_counts(tmp_path: Path) -> None:
    zones = "sys/class/thermal/thermal_zone{}/{}"
    files = {
        (0, "type"): "x86_pkg_temp",
        (0, "temp"): "61000",
        (0, "trip_point_0_type"): "passive",
        (0, "trip_point_0_temp"): "40000",
        (0, "trip_point_1_type"): "critical",
        (0, "trip_point_1_temp"): "100000",
        (1, "type"): "iwlwifi_1",
        (1, "temp"): "99000",
    }
    write(tmp_path, {zones.format(*key): text for key, text in files.items()})
    assert readings.temperature(tmp_path) == (61.0, 100.0)
    monitor = "sys/class/hwmon/hwmon3"
    write(tmp_path, {f"{monitor}/name": "k10temp", f"{monitor}/temp1_input": "88000", f"{monitor}/temp1_crit": "95000"})
    assert readings.temperature(tmp_path) == (88.0, 95.0)
