"""The processor: its name and the instruction sets that decide the speed of inference."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path

from studio.core.frozen import Frozen

#: flag in /proc/cpuinfo (x86, then Arm) to the name that people use
_FLAGS = {
    "sse4_2": "SSE4.2",
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "avx512_fp16": "AVX512-FP16",
    "amx_tile": "AMX",
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
    "asimddp": "DOTPROD",
    "asimdhp": "FP16",
    "i8mm": "I8MM",
    "bf16": "BF16",
    "sve": "SVE",
    "sve2": "SVE2",
    "sme": "SME",
}
#: names that macOS gives under hw.optional to our names
_SYSCTL = {
    "arm.FEAT_DotProd": "DOTPROD",
    "arm.FEAT_FP16": "FP16",
    "arm.FEAT_I8MM": "I8MM",
    "arm.FEAT_BF16": "BF16",
    "arm.FEAT_SME": "SME",
    "avx2_0": "AVX2",
    "avx512f": "AVX512",
}
_V2 = ("SSE4.2",)
_V3 = (*_V2, "AVX", "AVX2", "FMA", "F16C")
_V4 = (*_V3, "AVX512")
#: numpy's names of the features and (since 2.4) levels that it detects on any platform, and what they
#: imply; used where the system does not tell
_NUMPY = {
    "SSE42": _V2,
    "X86_V2": _V2,
    "AVX": ("AVX",),
    "AVX2": ("AVX2",),
    "FMA3": ("FMA",),
    "F16C": ("F16C",),
    "X86_V3": _V3,
    "AVX512F": ("AVX512",),
    "AVX512_SKX": _V4,
    "X86_V4": _V4,
    "AVX512_CLX": (*_V4, "AVX512-VNNI"),
    "AVX512_ICL": (*_V4, "AVX512-VNNI"),
    "AVX512_SPR": (*_V4, "AVX512-VNNI", "AVX512-FP16"),
    "NEON": ("NEON",),
    "ASIMDDP": ("DOTPROD",),
    "ASIMDHP": ("FP16",),
    "SVE": ("SVE",),
}


class CpuInfo(Frozen):
    """A processor as the system describes it."""

    name: str
    vendor: str
    instruction_sets: tuple[str, ...]
    hypervisor: bool = False


@cache
def cpu_info() -> CpuInfo:
    """Describe the processor; the instruction sets are those that the system lets programs use."""
    system = platform.system()
    if system == "Linux":
        return parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    if system == "Darwin":
        return _darwin()
    return CpuInfo(name=platform.processor() or platform.machine(), vendor="", instruction_sets=_from_numpy())


def parse_cpuinfo(text: str) -> CpuInfo:
    """Read the first processor of a Linux ``/proc/cpuinfo``."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition(":")
        if separator:
            fields.setdefault(key.strip(), value.strip())
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    name = fields.get("model name") or fields.get("Model") or fields.get("Hardware") or platform.machine()
    return CpuInfo(
        name=name,
        vendor=fields.get("vendor_id") or fields.get("CPU implementer") or "",
        instruction_sets=tuple(label for flag, label in _FLAGS.items() if flag in flags),
        hypervisor="hypervisor" in flags,
    )


def _darwin() -> CpuInfo:
    names = ["machdep.cpu.brand_string", *(f"hw.optional.{name}" for name in _SYSCTL)]
    values = {name: _sysctl(name) for name in names}
    sets = [label for name, label in _SYSCTL.items() if values[f"hw.optional.{name}"] == "1"]
    if platform.machine() == "arm64":
        sets.insert(0, "NEON")
    return CpuInfo(name=values[names[0]] or platform.machine(), vendor="Apple", instruction_sets=tuple(sets))


def _sysctl(name: str) -> str:
    done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _from_numpy() -> tuple[str, ...]:
    import numpy as np

    found = np.show_config(mode="dicts")
    simd = found.get("SIMD Extensions", {}) if isinstance(found, dict) else {}
    have = {*simd.get("baseline", ()), *simd.get("found", ())}
    found_sets = {label for feature, labels in _NUMPY.items() if feature in have for label in labels}
    return tuple(label for label in _FLAGS.values() if label in found_sets)
