"""Energy from the kernel's counters, where there are any."""

from __future__ import annotations

from pathlib import Path

from studio.core.energy import EnergyMeter


def domain(root: Path, name: str, microjoules: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("9999999\n")
    return folder


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    domain(tmp_path, "intel-rapl:0", 1_000_000)
    domain(tmp_path, "intel-rapl:1", 500_000)
    domain(tmp_path, "intel-rapl:0:0", 7)
    meter = EnergyMeter(tmp_path)
    assert meter.readable
    domain(tmp_path, "intel-rapl:0", 3_000_000)
    domain(tmp_path, "intel-rapl:1", 600_000)
    domain(tmp_path, "intel-rapl:0:0", 900_000)
    assert meter.joules() == 2.1


def test_a_counter_that_started_anew(tmp_path: Path) -> None:
    domain(tmp_path, "intel-rapl:0", 9_000_000)
    meter = EnergyMeter(tmp_path)
    domain(tmp_path, "intel-rapl:0", 1_000_000)
    assert meter.joules() == 2.0


def test_nothing_is_made_up_where_nothing_can_be_read(tmp_path: Path) -> None:
    assert EnergyMeter(tmp_path).joules() is None
    assert not EnergyMeter(tmp_path).readable
    folder = domain(tmp_path, "intel-rapl:0", 5)
    meter = EnergyMeter(tmp_path)
    (folder / "energy_uj").unlink()
    assert meter.joules() is None
