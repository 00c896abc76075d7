"""The processor, devices and the environment fingerprint."""

from __future__ import annotations

import platform
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from studio.core import cpu
from studio.core.cpu import cpu_info, parse_cpuinfo
from studio.core.device import Device, DeviceKind, find_device
from studio.core.environment import fingerprint
from studio.core.errors import UsageError

INTEL = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8488C
flags\t\t: hypervisor sse4_2 avx f16c avx2 fma avx512f avx_vnni avx512_bf16 avx512_vnni amx_bf16 amx_tile amx_int8

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: another one
flags\t\t: fpu
"""
ARM = """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm asimdhp asimddp i8mm bf16 sve
CPU implementer\t: 0x41
"""


def test_an_intel_processor() -> None:
    found = parse_cpuinfo(INTEL)
    assert (found.name, found.vendor, found.hypervisor) == ("Intel(R) Xeon(R) Platinum 8488C", "GenuineIntel", True)
    assert found.instruction_sets == (
        "SSE4.2", "AVX", "AVX2", "FMA", "F16C", "AVX-VNNI", "AVX512", "AVX512-VNNI", "AVX512-BF16",
        "AMX", "AMX-INT8", "AMX-BF16",
    )  # fmt: skip


def test_an_arm_processor() -> None:
    found = parse_cpuinfo(ARM)
    assert (found.name, found.vendor, found.hypervisor) == (platform.machine(), "0x41", False)
    assert found.instruction_sets == ("NEON", "DOTPROD", "FP16", "I8MM", "BF16", "SVE")


@pytest.mark.parametrize("text", ["", "nonsense", ":::\n"])
def test_a_system_that_says_nothing(text: str) -> None:
    assert parse_cpuinfo(text).instruction_sets == ()


@pytest.mark.skipif(platform.system() != "Linux", reason="compares with what Linux tells")
def test_numpy_and_the_system_agree() -> None:
    named_by_numpy = {label for labels in cpu._NUMPY.values() for label in labels}
    system, numpy = set(cpu_info().instruction_sets), set(cpu._from_numpy())
    assert numpy <= system
    baseline_x86 = {"SSE4.2", "AVX", "AVX2", "FMA", "F16C"}
    assert system & named_by_numpy & baseline_x86 <= numpy


@pytest.mark.parametrize(
    ("baseline", "found", "expected"),
    [
        (["X86_V2"], ["X86_V3"], ("SSE4.2", "AVX", "AVX2", "FMA", "F16C")),
        (["SSE", "SSE2", "SSE3"], ["SSE42", "AVX", "F16C", "FMA3", "AVX2"], ("SSE4.2", "AVX", "AVX2", "FMA", "F16C")),
        (
            ["X86_V2"],
            ["X86_V3", "X86_V4", "AVX512_ICL"],
            ("SSE4.2", "AVX", "AVX2", "FMA", "F16C", "AVX512", "AVX512-VNNI"),
        ),
        (["NEON", "ASIMD"], ["ASIMDHP", "ASIMDDP"], ("NEON", "DOTPROD", "FP16")),
        ([], [], ()),
    ],
)
def test_what_numpy_tells_where_the_system_does_not(
    monkeypatch: pytest.MonkeyPatch, baseline: list[str], found: list[str], expected: tuple[str, ...]
) -> None:
    told = {"SIMD Extensions": {"baseline": baseline, "found": found, "not found": ["AVX512_SPR"]}}
    monkeypatch.setattr(np, "show_config", lambda mode: told)
    assert cpu._from_numpy() == expected


def test_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "machdep.cpu.brand_string": "Apple M4\n",
        "hw.optional.arm.FEAT_DotProd": "1\n",
        "hw.optional.arm.FEAT_I8MM": "1\n",
        "hw.optional.arm.FEAT_SME": "0\n",
    }
    monkeypatch.setattr(
        "subprocess.run", lambda command, **_: SimpleNamespace(stdout=told.get(command[-1], ""), returncode=0)
    )
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    cpu_info.cache_clear()
    try:
        found = cpu_info()
    finally:
        cpu_info.cache_clear()
    assert (found.name, found.instruction_sets) == ("Apple M4", ("NEON", "DOTPROD", "I8MM"))


# devices


def device(runtime: str = "openvino", name: str = "CPU", kind: DeviceKind = "cpu", **more: Any) -> Device:
    return Device(runtime=runtime, id=name, name="processor", kind=kind, **more)


DEVICES = (device("onnxruntime"), device("openvino"), device("openvino", "GPU.1", "gpu"))


@pytest.mark.parametrize(
    ("spec", "index"),
    [("openvino:CPU", 1), ("OpenVINO:gpu.1", 2), (" openvino ", 1), ("onnxruntime", 0)],
)
def test_finding_a_device(spec: str, index: int) -> None:
    assert find_device(DEVICES, spec) is DEVICES[index]


@pytest.mark.parametrize("spec", ["openvino:NPU", "", "CPU", "tensorrt"])
def test_a_device_that_is_not_there(spec: str) -> None:
    with pytest.raises(UsageError, match="There is no device") as caught:
        find_device(DEVICES, spec)
    assert caught.value.hint.endswith("'burnish devices' lists them.")
    with pytest.raises(UsageError) as caught:
        find_device((), spec)
    assert caught.value.hint == "'burnish devices' lists them."


@pytest.mark.parametrize(
    ("sets", "best", "fast"),
    [
        ((), "", False),
        (("SSE4.2", "AVX", "AVX2"), "AVX2", False),
        (("AVX2", "AVX512"), "AVX512", False),
        (("AVX2", "AVX-VNNI"), "AVX-VNNI", True),
        (("AVX512", "AVX512-VNNI", "AVX-VNNI"), "AVX512-VNNI", True),
        (("AVX512-VNNI", "AMX"), "AMX", True),
        (("NEON",), "NEON", False),
        (("NEON", "DOTPROD"), "DOTPROD", True),
    ],
)
def test_the_set_that_decides(sets: tuple[str, ...], best: str, fast: bool) -> None:
    found = device(instruction_sets=sets)
    assert (found.best_instruction_set, found.fast_int8) == (best, fast)
    assert found.label == f"openvino · CPU {best}".strip()


@pytest.mark.parametrize(
    ("kind", "precisions", "fast"),
    [("gpu", ("INT8",), True), ("npu", ("INT8",), True), ("gpu", (), False), ("cpu", ("INT8",), False)],
)
def test_accelerators_with_eight_bit_arithmetic(kind: DeviceKind, precisions: tuple[str, ...], fast: bool) -> None:
    assert device(kind=kind, precisions=precisions).fast_int8 is fast


# the environment


def test_the_fingerprint_of_this_machine() -> None:
    found = fingerprint()
    assert found.cpu == cpu_info().name
    assert found.logical_cores == psutil.cpu_count()
    assert found.memory_bytes == psutil.virtual_memory().total
    assert found.libraries["numpy"] == np.__version__
    assert type(found).model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("failure", [NotImplementedError, FileNotFoundError, RuntimeError])
def test_a_frequency_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, failure: type[Exception]) -> None:
    def fail() -> None:
        raise failure

    monkeypatch.setattr(psutil, "cpu_freq", fail)
    assert fingerprint().frequency_mhz is None
    monkeypatch.setattr(psutil, "cpu_freq", lambda: None)
    assert fingerprint().frequency_mhz is None
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(current=2400.04))
    assert fingerprint().frequency_mhz == 2400.0


def test_a_governor_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.read_text

    def told(path: Path, *args: Any, **named: Any) -> str:
        return "powersave\n" if path.name == "scaling_governor" else real(path, *args, **named)

    monkeypatch.setattr(Path, "read_text", told)
    assert fingerprint().governor == "powersave"
