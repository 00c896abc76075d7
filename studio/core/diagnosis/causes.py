"""From two profiles to the causes of their difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studio.core.diagnosis.explanation import TITLES, Cause, CauseKind, LayerDelta
from studio.core.diagnosis.matching import Group, match
from studio.core.diagnosis.roofline import Rates, bound
from studio.core.profile import LayerProfile, Profile

#: a change of multiply-accumulates below this is none
_SAME_WORK = 0.01


@dataclass(frozen=True)
class Side:
    """A profile, and what is known of how it ran.

    Attributes
    ----------
    cores
        Processor cores that it may use; None when unknown, or it did not run on a processor.
    """

    profile: Profile
    cores: int | None = None

    @property
    def threads(self) -> int | None:
        """Threads asked for."""
        return self.profile.options.threads

    @property
    def oversubscribed(self) -> bool:
        """Whether it has more threads than cores."""
        return bool(self.cores and self.threads and self.threads > self.cores)

    def ms(self, layer: LayerProfile) -> float:
        """Milliseconds of a layer, brought from the counted pass to the clean latency."""
        return layer.nanoseconds * self.profile.drift / self.profile.counter_factor / 1e6

    def between_ms(self) -> float:
        """Milliseconds of the clean latency in which no kernel runs."""
        rest = self.profile.unexplained_ns
        return max(0.0, rest * self.profile.drift / 1e6) if rest is not None else 0.0


@dataclass(frozen=True)
class _Part:
    kind: CauseKind
    delta: LayerDelta
    layer: LayerProfile


def find_causes(baseline: Side, variant: Side, rates: Rates | None = None) -> tuple[Cause, ...]:
    """Explain the difference of two profiles.

    Parameters
    ----------
    baseline, variant
        `LayerProfile.origins` of both name nodes of the baseline's model.
    rates
        What the machine can do; without it nothing is called memory-bound.

    Returns
    -------
    tuple
        Causes, those that weigh most first. What they leave of the difference is not explained by them.
    """
    parts = [part for part in _Judge(baseline, variant, rates).parts() if part.delta.milliseconds]
    kinds = list(dict.fromkeys(part.kind for part in parts))
    causes = [_cause(kind, [part for part in parts if part.kind == kind]) for kind in kinds]
    between = variant.between_ms() - baseline.between_ms()
    counts = len(baseline.profile.layers), len(variant.profile.layers)
    if all(counts) and between:
        evidence = f"{counts[0]} kernels before, {counts[1]} now."
        causes.append(
            Cause(kind="between kernels", title=TITLES["between kernels"], milliseconds=between, evidence=evidence)
        )
    return tuple(sorted(causes, key=lambda cause: -abs(cause.milliseconds)))


class _Judge:
    def __init__(self, baseline: Side, variant: Side, rates: Rates | None) -> None:
        self._a, self._b, self._rates = baseline, variant, rates
        self._groups = match(baseline.profile.layers, variant.profile.layers)
        self._quantized = any(layer.integer and layer.cores for layer in variant.profile.layers) and not any(
            layer.integer and layer.cores for layer in baseline.profile.layers
        )
        self._same_device = baseline.profile.device == variant.profile.device

    def parts(self) -> Iterator[_Part]:
        """Give every layer's part in every cause."""
        for group in self._groups:
            if group.baseline is None:
                for layer in group.main:
                    yield self._only_variant(layer, "work added")
                continue
            for layer in group.extra:
                yield self._only_variant(layer, self._extra_kind(layer, group.baseline))
            if group.main:
                yield from self._both(group.baseline, group.main, group.extra)
            else:
                yield self._only_baseline(group)

    def _extra_kind(self, layer: LayerProfile, own: LayerProfile) -> CauseKind:
        """Say why a layer runs beside the main one: it had been fused, or it serves the conversion."""
        beyond = set(layer.origins) - set(own.cores)
        return "fusion lost" if beyond or not own.cores else "conversion"

    def _only_variant(self, layer: LayerProfile, otherwise: CauseKind) -> _Part:
        time = self._b.ms(layer)
        delta = LayerDelta(
            nodes=layer.nodes or layer.feeds,
            origins=layer.origins,
            milliseconds=time,
            variant_ms=time,
            variant_kernel=_kernel(layer),
        )
        kind: CauseKind = layer.kind if layer.kind in ("conversion", "reorder") else otherwise
        if self._fell_back(layer, self._b):
            kind = "fallback"
        return _Part(kind, delta, layer)

    def _only_baseline(self, group: Group) -> _Part:
        layer = group.baseline
        assert layer is not None
        time = self._a.ms(layer)
        delta = LayerDelta(
            nodes=layer.nodes or layer.feeds,
            origins=layer.cores or layer.origins,
            milliseconds=-time,
            baseline_ms=time,
            baseline_kernel=_kernel(layer),
        )
        kind: CauseKind = "fusion won" if group.elsewhere else "work removed"
        if layer.kind in ("conversion", "reorder") and not group.elsewhere:
            kind = layer.kind
        return _Part(kind, delta, layer)

    def _both(
        self, own: LayerProfile, others: Sequence[LayerProfile], extra: Sequence[LayerProfile]
    ) -> Iterator[_Part]:
        """Split the difference of a layer: first what less work explains, then what the way of running it does."""
        before, after = self._a.ms(own), sum(self._b.ms(layer) for layer in others)
        rest = after - before
        macs = sum(layer.macs for layer in others)
        whole = LayerDelta(
            nodes=others[0].nodes,
            origins=own.cores or own.origins,
            milliseconds=rest,
            baseline_ms=before,
            variant_ms=after,
            baseline_kernel=_kernel(own),
            variant_kernel=_kernel(others[0]),
            bound=bound(others[0], self._rates),
        )
        work = 0.0
        if own.macs and macs and abs(macs / own.macs - 1) > _SAME_WORK:
            work = before * (macs / own.macs - 1)
        kind = self._kind(own, others[0], rest - work)
        if kind in (None, "other kernel"):
            kind = self._fused_otherwise(own, others, extra) or kind
        if kind is None:
            # Nothing but the work is different: what it does not explain in proportion is the kernel's efficiency.
            work = rest if work else 0.0
        if work:
            yield _Part("work removed" if work < 0 else "work added", _share(whole, work), others[0])
        if kind is not None:
            yield _Part(kind, _share(whole, rest - work), others[0])

    def _kind(self, own: LayerProfile, other: LayerProfile, rest: float) -> CauseKind | None:
        """Say why the same work takes another time; None when nothing about it is different."""
        if self._fell_back(other, self._b) != self._fell_back(own, self._a):
            return "fallback"
        if self._b.oversubscribed != self._a.oversubscribed:
            return "oversubscription"
        if not self._same_device:
            return "device"
        if self._a.threads != self._b.threads:
            return "threads"
        if other.integer and not own.integer and other.cores:
            return self._lowered(own, rest)
        if own.precision != other.precision:
            return "lower precision" if _bits(other) < _bits(own) and rest < 0 else "other kernel"
        if other.cores and not other.integer and (self._quantized or other.stated_integer > own.stated_integer):
            return "still in float"
        return "other kernel" if _kernel(own) != _kernel(other) or own.layout != other.layout else None

    def _fused_otherwise(
        self, own: LayerProfile, others: Sequence[LayerProfile], extra: Sequence[LayerProfile]
    ) -> CauseKind | None:
        """Say whether a kernel does less or more than before: that belongs to the fusion, not to the kernel."""
        if any(layer.kind == "other" and self._extra_kind(layer, own) == "fusion lost" for layer in extra):
            return "fusion lost"
        more = {origin for layer in others for origin in layer.origins} - set(own.origins)
        return "fusion won" if more else None

    def _lowered(self, own: LayerProfile, rest: float) -> CauseKind:
        if rest < 0:
            return "lower precision"
        limit = bound(own, self._rates)
        if limit == "dispatch":
            return "too small"
        return "memory-bound" if limit == "memory" else "no fast kernel"

    @staticmethod
    def _fell_back(layer: LayerProfile, side: Side) -> bool:
        return bool(layer.placement) and layer.placement != side.profile.device


def _share(whole: LayerDelta, milliseconds: float) -> LayerDelta:
    return whole.model_copy(update={"milliseconds": milliseconds})


def _kernel(layer: LayerProfile) -> str:
    return " ".join(filter(None, (layer.kernel or layer.operator, layer.precision, layer.layout)))


def _bits(layer: LayerProfile) -> int:
    return {"f64": 64, "f32": 32, "i32": 32, "i64": 64, "f16": 16, "bf16": 16}.get(layer.precision, 8)


def _cause(kind: CauseKind, parts: list[_Part]) -> Cause:
    parts = sorted(parts, key=lambda part: -abs(part.delta.milliseconds))
    operators = Counter(part.layer.operator for part in parts)
    listed = ", ".join(f"{number} {operator}" for operator, number in operators.most_common(4))
    more = ", ..." if len(operators) > 4 else ""
    first = parts[0].delta
    change = " -> ".join(dict.fromkeys(filter(None, (first.baseline_kernel, first.variant_kernel))))
    return Cause(
        kind=kind,
        title=TITLES[kind],
        milliseconds=sum(part.delta.milliseconds for part in parts),
        nodes=tuple(dict.fromkeys(name for part in parts for name in part.delta.nodes)),
        evidence=f"{listed}{more}; largest: {change}." if change else f"{listed}{more}.",
        layers=tuple(part.delta for part in parts),
    )
