"""What this machine can do, as `burnish calibrate` measured it."""

from __future__ import annotations

from typing import Literal

from studio.core.environment import Environment
from studio.core.frozen import Frozen, digest
from studio.core.machine.blocks import Stability
from studio.core.runtime import RunOptions

Precision = Literal["f32", "f16", "bf16", "int8", "int8-dynamic"]
#: gemv: a matrix times few rows; pointwise: a 1x1 convolution
Kind = Literal["gemm", "gemv", "conv", "pointwise", "depthwise"]
KINDS: tuple[Kind, ...] = ("gemm", "gemv", "conv", "pointwise", "depthwise")
PRECISIONS: tuple[Precision, ...] = ("f32", "f16", "bf16", "int8", "int8-dynamic")
#: Raised whenever the workloads change: figures of other ones are not comparable.
VERSION = 2
#: libraries whose version does not change how fast a model runs
_PLAIN = frozenset({"burnish", "numpy", "onnx"})


class Rate(Frozen):
    """Multiply-accumulates a second of one kind of layer at one precision; None where it does not run so here."""

    kind: Kind
    precision: Precision
    macs_per_s: float | None
    why_not: str = ""


class PlaceProfile(Frozen):
    """One runtime on one device.

    Attributes
    ----------
    device
        ``RUNTIME:DEVICE``.
    cache_bytes_per_s, memory_bytes_per_s
        Bytes of weights read a second where they fit into the caches, and where they do not.
    dispatch_ns
        What an operator costs beside its arithmetic.
    call_ns
        What an inference costs beside its operators.
    element_ns
        Nanoseconds an element: ``"simple"`` (Add), ``"heavy"`` (Softmax), ``"quantize"``, ``"dequantize"``,
        ``"dynamic"`` (DynamicQuantizeLinear), ``"cast"`` (to float16).
    options
        How the models were loaded.
    """

    device: str
    name: str
    runtime_version: str
    rates: tuple[Rate, ...]
    cache_bytes_per_s: float | None
    memory_bytes_per_s: float | None
    dispatch_ns: float
    call_ns: float
    element_ns: dict[str, float]
    options: RunOptions = RunOptions()
    stability: Stability | None = None
    seconds: float = 0.0
    taken_at: str = ""

    def rate(self, kind: Kind, precision: Precision) -> float | None:
        """Give multiply-accumulates a second; None where it does not run."""
        return next((rate.macs_per_s for rate in self.rates if (rate.kind, rate.precision) == (kind, precision)), None)

    @property
    def peaks(self) -> dict[Precision, float]:
        """The highest multiply-accumulates a second of any kind, by precision."""
        found: dict[Precision, float] = {}
        for rate in self.rates:
            if rate.macs_per_s is not None:
                found[rate.precision] = max(rate.macs_per_s, found.get(rate.precision, 0.0))
        return found


class MachineProfile(Frozen):
    """All places of a machine.

    `key` is the digest of hardware and versions that the figures hold for, see `machine_key`.
    """

    key: str
    cpu: str
    places: tuple[PlaceProfile, ...] = ()

    def place(self, device: str) -> PlaceProfile | None:
        """Find a place by ``RUNTIME:DEVICE``."""
        return next((place for place in self.places if place.device == device), None)

    def with_place(self, place: PlaceProfile) -> MachineProfile:
        """Give the profile with a place added or replaced."""
        others = tuple(other for other in self.places if other.device != place.device)
        return self.model_copy(update={"places": tuple(sorted((*others, place), key=lambda item: item.device))})


def machine_key(environment: Environment) -> str:
    """Name what a calibration holds for: processor, instruction sets, cores, memory, system and engines."""
    libraries = {name: version for name, version in environment.libraries.items() if name not in _PLAIN}
    return digest(
        {
            "version": VERSION,
            "cpu": environment.cpu,
            "instruction_sets": list(environment.instruction_sets),
            "cores": [environment.physical_cores, environment.logical_cores],
            "memory": round(environment.memory_bytes / 2**30),
            "system": environment.system,
            "libraries": libraries,
        }
    )[:16]
