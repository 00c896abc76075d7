"""What bounds a layer: arithmetic, memory, or just being started."""

from __future__ import annotations

from typing import Literal

from studio.core.frozen import Frozen
from studio.core.profile import LayerProfile

Bound = Literal["compute", "memory", "dispatch", "unknown"]

#: An integer layer of a machine without a measured rate for it is judged by float32's.
_FAMILIES = {"u8": "i8", "i8": "i8", "f32": "f32", "f16": "f16", "bf16": "bf16"}


class Rates(Frozen):
    """What a machine can do, as far as it was measured.

    Attributes
    ----------
    macs_per_s
        Most multiply-accumulates a second by precision: ``"f32"``, ``"f16"``, ``"bf16"``, ``"i8"``.
    bytes_per_s
        Bytes a second from memory; 0 when unknown.
    dispatch_ns
        Nanoseconds that starting one kernel takes.
    """

    macs_per_s: dict[str, float] = {}
    bytes_per_s: float = 0.0
    dispatch_ns: float = 5_000.0


def bound(layer: LayerProfile, rates: Rates | None) -> Bound:
    """Say what bounds a layer by the roofline model (Williams, Waterman and Patterson 2009).

    A layer that takes less than twice what starting any kernel does is bound by that.
    """
    limits = rates or Rates()
    if layer.nanoseconds < 2 * limits.dispatch_ns:
        return "dispatch"
    peak = limits.macs_per_s.get(_FAMILIES.get(layer.precision, "f32")) or limits.macs_per_s.get("f32", 0.0)
    if not peak or not limits.bytes_per_s or not (layer.macs or layer.bytes):
        return "unknown"
    return "compute" if layer.macs / peak >= layer.bytes / limits.bytes_per_s else "memory"


def best_ns(layer: LayerProfile, rates: Rates) -> float:
    """Give the nanoseconds that the roofline allows at best; 0 when nothing is known."""
    peak = rates.macs_per_s.get(_FAMILIES.get(layer.precision, "f32"), 0.0)
    arithmetic = 1e9 * layer.macs / peak if peak else 0.0
    return max(arithmetic, 1e9 * layer.bytes / rates.bytes_per_s if rates.bytes_per_s else 0.0)
