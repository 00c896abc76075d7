"""Which layers of one profile do the work of which of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from studio.core.profile import LayerProfile

#: Below this share of layers led back by name, the two models are matched by structure.
_ENOUGH = 0.2
#: operators under the names that the engines give them, by what they compute
_FAMILIES = {
    "Convolution": "conv",
    "Conv": "conv",
    "FusedConv": "conv",
    "ConvInteger": "conv",
    "QLinearConv": "conv",
    "FullyConnected": "matmul",
    "Gemm": "matmul",
    "FusedGemm": "matmul",
    "MatMul": "matmul",
    "FusedMatMul": "matmul",
    "MatMulInteger": "matmul",
    "MatMulIntegerToFloat": "matmul",
    "DynamicQuantizeMatMul": "matmul",
    "QLinearMatMul": "matmul",
    "QGemm": "matmul",
    "MatMulNBits": "matmul",
}


@dataclass
class Group:
    """One layer of the baseline, and the layers of the variant that do its work.

    Attributes
    ----------
    baseline
        None for layers that do nothing which the baseline does.
    main
        Of the variant's layers, those that do the same arithmetic.
    extra
        The others: what was fused before, conversions, reorders.
    elsewhere
        Whether the variant executes it inside a layer of another group.
    """

    baseline: LayerProfile | None
    main: list[LayerProfile] = field(default_factory=list)
    extra: list[LayerProfile] = field(default_factory=list)
    elsewhere: bool = False


def match(baseline: Sequence[LayerProfile], variant: Sequence[LayerProfile]) -> list[Group]:
    """Match layers by the nodes of the source that they stand for, or by structure where names tell nothing.

    Parameters
    ----------
    baseline, variant
        Layers in the order of execution; `LayerProfile.origins` of both name nodes of the same model.
    """
    found = _by_origin(baseline, variant)
    named = sum(1 for layer in variant if layer.cores and layer in _matched(found))
    wanted = sum(1 for layer in variant if layer.cores)
    if wanted and named < _ENOUGH * wanted:
        return _by_structure(baseline, variant)
    return found


def _matched(groups: Sequence[Group]) -> list[LayerProfile]:
    return [layer for group in groups if group.baseline is not None for layer in group.main]


def _by_origin(baseline: Sequence[LayerProfile], variant: Sequence[LayerProfile]) -> list[Group]:
    groups = [Group(layer) for layer in baseline]
    homes: dict[str, list[int]] = {}
    for index, layer in enumerate(baseline):
        for origin in layer.origins:
            homes.setdefault(origin, []).append(index)
    added: list[Group] = []
    twins = {(layer.operator, layer.feeds): index for index, layer in enumerate(baseline) if layer.inserted}
    covered: set[str] = set()
    for layer in variant:
        covered.update(layer.origins)
        # What an engine inserted is the same where it is the same operator before the same nodes.
        home = twins.pop((layer.operator, layer.feeds), None) if layer.inserted else _home(layer, baseline, homes)
        if home is None:
            added.append(Group(None, [layer]))
            continue
        own = baseline[home]
        same = bool(layer.cores) == bool(own.cores) and layer.kind == own.kind
        (groups[home].main if same else groups[home].extra).append(layer)
    for group in groups:
        _settle(group, covered)
    return [*groups, *added]


def _settle(group: Group, covered: set[str]) -> None:
    """Decide what a group without a main layer means: other operators in its place, or a part of another layer."""
    assert group.baseline is not None
    if group.main:
        return
    replacing = [layer for layer in group.extra if layer.kind in ("compute", "other")]
    if replacing:
        group.main = replacing
        group.extra = [layer for layer in group.extra if layer not in replacing]
    else:
        group.elsewhere = bool(covered & set(group.baseline.origins))


def _home(layer: LayerProfile, baseline: Sequence[LayerProfile], homes: dict[str, list[int]]) -> int | None:
    """Find the layer of the baseline with which one has most nodes in common; arithmetic goes to arithmetic."""
    votes: dict[int, int] = {}
    for origin in layer.origins:
        for index in homes.get(origin, ()):
            votes[index] = votes.get(index, 0) + 1
    if not votes:
        return None
    return max(votes, key=lambda index: (bool(layer.cores) == bool(baseline[index].cores), votes[index], -index))


def _by_structure(baseline: Sequence[LayerProfile], variant: Sequence[LayerProfile]) -> list[Group]:
    """Align the sequences of arithmetic layers by what they compute and the shape of their output."""
    first, second = ([layer for layer in layers if layer.cores] for layers in (baseline, variant))
    pairs: list[tuple[LayerProfile, LayerProfile]] = []
    matcher = SequenceMatcher(None, [_key(layer) for layer in first], [_key(layer) for layer in second], autojunk=False)
    for tag, low, high, other_low, other_high in matcher.get_opcodes():
        if tag == "equal" or (tag == "replace" and high - low == other_high - other_low):
            pairs.extend(zip(first[low:high], second[other_low:other_high], strict=True))
    partners = {id(one): other for one, other in pairs}
    used = {id(other) for _, other in pairs}
    groups = [Group(layer, [partners[id(layer)]] if id(layer) in partners else []) for layer in baseline]
    return [*groups, *(Group(None, [layer]) for layer in variant if id(layer) not in used)]


def _key(layer: LayerProfile) -> tuple[str, tuple[int, ...]]:
    return _FAMILIES.get(layer.operator, layer.operator), layer.shape
