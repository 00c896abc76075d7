"""Detection of accelerators, on file systems and an NVML made for the purpose."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from studio.core.hardware import Accelerator, accelerators, cpu_device, nvidia_cards


class FakeNvml:
    """The part of pynvml that is used; `missing` names functions that this card's driver does not have."""

    class NVMLError(Exception):
        pass

    def __init__(self, cards: int = 1, *, init_fails: bool = False, missing: tuple[str, ...] = ()) -> None:
        self.cards, self.init_fails, self.missing = cards, init_fails, missing
        self.open = 0

    def nvmlInit(self) -> None:
        if self.init_fails:
            raise self.NVMLError
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def __getattr__(self, name: str) -> Any:
        if name in self.missing:
            raise self.NVMLError
        answers = {
            "nvmlSystemGetDriverVersion": lambda: b"580.65",
            "nvmlDeviceGetCount": lambda: self.cards,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetName": lambda handle: f"NVIDIA L4 number {handle}",
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=24 * 2**30, used=2**30),
            "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}",
            "nvmlDeviceGetCudaComputeCapability": lambda handle: (8, 9),
            "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=37),
        }
        return answers[name]


NO_NVIDIA = FakeNvml(init_fails=True)


def pci(root: Path, slot: str, vendor: str, device: str, kind: str, **more: str) -> Path:
    folder = root / "sys/bus/pci/devices" / slot
    folder.mkdir(parents=True)
    for name, text in {"vendor": vendor, "device": device, "class": kind, **more}.items():
        (folder / name).write_text(f"{text}\n")
    return folder


def driver(root: Path, folder: Path, name: str) -> None:
    target = root / "sys/bus/pci/drivers" / name
    target.mkdir(parents=True, exist_ok=True)
    (folder / "driver").symlink_to(target)


def device_file(root: Path, name: str) -> None:
    path = root / "dev" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def find(root: Path, nvml: Any = NO_NVIDIA) -> tuple[Accelerator, ...]:
    return accelerators(root, nvml, "Linux")


def test_a_machine_without_accelerators_has_none(tmp_path: Path) -> None:
    pci(tmp_path, "0000:00:02.0", "0x1af4", "0x1050", "0x030000")
    pci(tmp_path, "0000:00:03.0", "0x8086", "0x100e", "0x020000")
    assert find(tmp_path) == ()


def test_a_render_node_makes_a_gpu_usable(tmp_path: Path) -> None:
    folder = pci(tmp_path, "0000:00:02.0", "0x8086", "0x46a6", "0x030000")
    driver(tmp_path, folder, "i915")
    (folder / "drm/renderD128").mkdir(parents=True)
    device_file(tmp_path, "dri/renderD128")
    (gpu,) = find(tmp_path)
    assert (gpu.kind, gpu.vendor, gpu.name) == ("gpu", "intel", "Intel GPU 8086:46a6")
    assert (gpu.driver, gpu.node, gpu.accessible) == ("i915", "/dev/dri/renderD128", True)


def test_a_node_that_may_not_be_opened_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pci(tmp_path, "0000:00:0b.0", "0x8086", "0x7d1d", "0x120000")
    (folder / "accel/accel0").mkdir(parents=True)
    device_file(tmp_path, "accel/accel0")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (npu,) = find(tmp_path)
    assert (npu.kind, npu.node, npu.accessible) == ("npu", "/dev/accel/accel0", False)


def test_a_card_that_no_driver_has_claimed_is_seen(tmp_path: Path) -> None:
    pci(tmp_path, "0000:03:00.0", "0x1002", "0x73bf", "0x030000", mem_info_vram_total="17163091968")
    (gpu,) = find(tmp_path)
    assert (gpu.vendor, gpu.driver, gpu.node, gpu.memory_bytes) == ("amd", "", "", 17163091968)


def test_a_container_without_the_pci_bus_shows_class_folders_and_device_files(tmp_path: Path) -> None:
    folder = tmp_path / "sys/class/accel/accel0/device"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text("0x8086\n")
    device_file(tmp_path, "nvidia0")
    device_file(tmp_path, "nvidiactl")
    assert [(card.kind, card.vendor) for card in find(tmp_path)] == [("npu", "intel"), ("gpu", "nvidia")]


def test_nvml_describes_cards_and_the_pci_bus_does_not_repeat_them(tmp_path: Path) -> None:
    pci(tmp_path, "0000:01:00.0", "0x10de", "0x27b8", "0x030200")
    pci(tmp_path, "0000:00:02.0", "0x8086", "0x46a6", "0x030000")
    nvml = FakeNvml(2)
    first, second, intel = find(tmp_path, nvml)
    assert (first.name, second.name) == ("NVIDIA L4 number 0", "NVIDIA L4 number 1")
    assert (first.driver, first.memory_bytes, first.node) == ("580.65", 24 * 2**30, "/dev/nvidia0")
    assert first.details["utilization"] == "37 %"
    assert first.details["compute capability"] == "8.9"
    assert intel.vendor == "intel"
    assert nvml.open == 0


def test_without_nvml_the_pci_bus_tells_of_an_nvidia_card(tmp_path: Path) -> None:
    pci(tmp_path, "0000:01:00.0", "0x10de", "0x27b8", "0x030200")
    assert [card.name for card in find(tmp_path)] == ["NVIDIA GPU 10de:27b8"]


def test_counters_that_a_card_lacks_are_left_out() -> None:
    nvml = FakeNvml(missing=("nvmlDeviceGetUtilizationRates",))
    (card,) = nvidia_cards(nvml)
    assert "utilization" not in card.details
    assert card.details["uuid"] == "GPU-0"


def test_the_cpu_states_what_decides_its_speed() -> None:
    device = cpu_device("some", ("FP32",), "MLAS")
    assert (device.spec, device.kind, device.driver) == ("some:CPU", "cpu", "MLAS")
    assert device.instruction_sets
    assert device.details["logical cores"].isdigit()
