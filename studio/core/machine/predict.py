"""From a calibration and a model's layers to what a change is expected to bring: a roofline for each layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studio.core.machine.change import Change
from studio.core.machine.layers import LayerCost
from studio.core.machine.profile import PlaceProfile, Precision
from studio.core.passes import Range

#: bytes of all weights up to which they are taken to stay in the caches between inferences
CACHED_BYTES = 16 << 20
#: how far a layer's real speed-up strays from that of the calibrated shape: what is not known of it
SLACK = 1.3
#: a change that touches nothing still moves the time by so much, from one loading to the next
FLOOR = 0.03
_STORED = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "int8": 1.0, "int8-dynamic": 1.0}
_NAMES = {"int8": "static INT8", "int8-dynamic": "dynamic INT8", "f16": "FP16", "bf16": "BF16", "f32": "FP32"}


@dataclass(frozen=True)
class Times:
    """What a change does to a model's time, in nanoseconds.

    Attributes
    ----------
    before
        The model as it is.
    touched
        The part of it that the change touches.
    after
        What that part becomes, without conversions.
    conversions
        Quantizing and dequantizing at the borders of what is touched.
    """

    before: float
    touched: float
    after: float
    conversions: float

    @property
    def ratio(self) -> float:
        """Time before over time after."""
        return self.before / max(1.0, self.before - self.touched + self.after + self.conversions)


def layer_ns(layer: LayerCost, place: PlaceProfile, precision: Precision, weight_bytes: int) -> float | None:
    """Expect the nanoseconds of a layer.

    Parameters
    ----------
    weight_bytes
        Bytes of all of the model's weights, which decides whether they stay in the caches.

    Returns
    -------
    float or None
        The longer of its arithmetic and of reading its weights, and the dispatch of an operator (the
        roofline of Williams, Waterman and Patterson 2009); None where the place has no figure for it.
    """
    if layer.kind == "free":
        return 0.0
    if not layer.macs:
        each = place.element_ns.get("heavy" if layer.kind == "heavy" else "simple")
        return None if each is None else layer.outputs * each + place.dispatch_ns
    rate = place.rate(layer.kind, precision)  # type: ignore[arg-type]
    if rate is None:
        return None
    speed = place.cache_bytes_per_s if weight_bytes <= CACHED_BYTES else place.memory_bytes_per_s
    reading = layer.weights * _STORED[precision] / speed * 1e9 if speed else 0.0
    return max(layer.macs / rate * 1e9, reading) + place.dispatch_ns


def model_ns(layers: Sequence[LayerCost], place: PlaceProfile) -> float | None:
    """Expect the nanoseconds of an inference of a model as it is; None where a layer has no figure."""
    held = _held(layers)
    times = [layer_ns(layer, place, layer.precision, held) for layer in layers]
    known = [taken for taken in times if taken is not None]
    return sum(known) + place.call_ns if len(known) == len(times) else None


def predict(layers: Sequence[LayerCost], place: PlaceProfile, nodes: Iterable[str], change: Change) -> Range | None:
    """Expect the ratio of latencies that a change brings.

    Parameters
    ----------
    layers
        The model's, see `layers_of`.
    place
        The calibration of the device.
    nodes
        Names of the nodes that it touches.

    Returns
    -------
    Range or None
        None when the calibration or the shapes do not suffice: the precision does not run here, or no
        layer that it touches has known multiply-accumulates.
    """
    touched = frozenset(nodes)
    most = _times(layers, place, touched, change, change.keep[1])
    least = _times(layers, place, touched, change, change.keep[0])
    if most is None or least is None:
        return None
    low, high = _strayed(most, SLACK).ratio, _strayed(least, 1 / SLACK).ratio
    low, high = min(low, high) * (1 - FLOOR), max(low, high) * (1 + FLOOR)
    return Range(low=round(low, 3), high=round(high, 3), reason=_reason(change, most), calibrated=True)


def _times(
    layers: Sequence[LayerCost], place: PlaceProfile, touched: frozenset[str], change: Change, keep: float
) -> Times | None:
    held = _held(layers)
    before, mine, after = place.call_ns, 0.0, 0.0
    for layer in layers:
        now = layer_ns(layer, place, layer.precision, held)
        if now is None:
            return None
        before += now
        if layer.name not in touched or not (layer.macs or change.keep != (1.0, 1.0)):
            continue
        precision = change.precision if change.precision and layer.macs else layer.precision
        then = layer_ns(layer, place, precision, round(held * _STORED[precision] / _STORED[layer.precision]))
        if then is None:
            return None
        mine += now
        after += keep * then
    if not any(layer.macs and layer.name in touched for layer in layers):
        return None
    return Times(before, mine, after, _conversions(layers, place, touched, change))


def _conversions(layers: Sequence[LayerCost], place: PlaceProfile, touched: frozenset[str], change: Change) -> float:
    """Give the nanoseconds spent between what is touched and what is not."""
    if change.precision not in ("int8", "int8-dynamic"):
        return 0.0
    inside = {layer.name for layer in layers if layer.macs and layer.name in touched}
    back = place.element_ns.get("dequantize", 0.0)
    if change.precision == "int8-dynamic":
        # Each layer quantizes its input on every run; the calibrated rate has what its shape takes of that.
        each = place.element_ns.get("dynamic", 0.0)
        return sum(layer.inputs * each + layer.outputs * back for layer in layers if layer.name in inside)
    into = place.element_ns.get("quantize", 0.0)
    fed = {reader for layer in layers if layer.name in inside for reader in layer.feeds}
    total = 0.0
    for layer in layers:
        if layer.name not in inside:
            continue
        if layer.name not in fed:
            total += layer.inputs * into
        if any(reader not in inside for reader in layer.feeds) or not layer.feeds:
            total += layer.outputs * back
    return total


def _strayed(times: Times, factor: float) -> Times:
    """Move the part that changes by a factor: what is known of one shape holds for others roughly."""
    return Times(times.before, times.touched, (times.after + times.conversions) * factor, 0.0)


def _held(layers: Sequence[LayerCost]) -> int:
    return sum(layer.weight_bytes for layer in layers)


def _reason(change: Change, times: Times) -> str:
    share = times.touched / times.before if times.before else 0.0
    text = f"calibrated: {share:.0%} of the time is in what it touches"
    if change.precision:
        faster = times.touched / times.after if times.after else 0.0
        text += f", where {_NAMES[change.precision]} computes {faster:.2g}x as fast"
    if times.conversions:
        text += f"; conversions take {times.conversions / times.before:.0%} of today's time"
    return text
