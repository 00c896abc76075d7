"""Times of layers before and after, by what ran, by the source's nodes and by blocks, with the share of the gain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from studio.core.diagnosis.matching import match
from studio.core.frozen import Frozen
from studio.core.profile import LayerProfile, Profile

Grouping = Literal["executed", "node", "block"]
#: where a kernel that stands for no node of the source is counted
ADDED = "put there by the runtime or a pass"


class LayerRow(Frozen):
    """A line of the table.

    Attributes
    ----------
    title
        The executed node, the node of the source or the block.
    before_ms, after_ms
        Time of one inference; `after_ms` is None when one model alone is shown.
    share
        Part of the whole difference that it explains; None where there is no difference to explain, or one model.
    kernels
        What ran: before, and after.
    nodes
        Nodes of the source that it stands for.
    """

    title: str
    operator: str
    before_ms: float
    after_ms: float | None
    share: float | None
    kernels: tuple[str, str] = ("", "")
    precisions: tuple[str, str] = ("", "")
    nodes: tuple[str, ...] = ()

    @property
    def gain_ms(self) -> float | None:
        """By how much it became faster."""
        return None if self.after_ms is None else self.before_ms - self.after_ms


class LayerTable(Frozen):
    """The table with what it adds up to.

    Attributes
    ----------
    before_ms, after_ms
        Clean latency: measured without counters.
    rest_before_ms, rest_after_ms
        Clean latency less the sum of the layers: time between kernels, or what counting costs (negative).
    rest_share
        Part of the difference of the clean latencies that no layer explains.
    """

    rows: tuple[LayerRow, ...]
    before_ms: float
    after_ms: float | None
    rest_before_ms: float
    rest_after_ms: float | None
    rest_share: float | None

    @property
    def gain_ms(self) -> float | None:
        """By how much the whole became faster."""
        return None if self.after_ms is None else self.before_ms - self.after_ms


@dataclass
class _Sum:
    operator: str = ""
    times: list[float] = field(default_factory=lambda: [0.0, 0.0])
    kernels: list[list[str]] = field(default_factory=lambda: [[], []])
    precisions: list[list[str]] = field(default_factory=lambda: [[], []])
    nodes: dict[str, None] = field(default_factory=dict)

    def add(self, side: int, layer: LayerProfile, milliseconds: float, nodes: Iterable[str]) -> None:
        self.operator = self.operator or layer.operator
        self.times[side] += milliseconds
        for names, name in ((self.kernels, layer.kernel or layer.operator), (self.precisions, layer.precision)):
            if name and name not in names[side]:
                names[side].append(name)
        self.nodes.update(dict.fromkeys(nodes))


def layer_table(
    before: Profile,
    after: Profile | None = None,
    grouping: Grouping = "executed",
    blocks: Mapping[str, str] | None = None,
) -> LayerTable:
    """Put the layers of one or two profiles into a table, the slowest or those that changed most first.

    Parameters
    ----------
    after
        Of a model that was made from the other: `LayerProfile.origins` of both name nodes of the same source.
    grouping
        By executed node; by node of the source (a kernel that stands for several shares its time among them by
        their number); or by block.
    blocks
        Title of the block of each node of the source, for the grouping by block.

    Notes
    -----
    Times are those counted, as they are: they are not stretched to the clean latency. What is between is the rest.
    """
    sums = _executed(before, after) if grouping == "executed" else _by_node(before, after, grouping, blocks or {})
    clean = [_clean(profile) for profile in (before, after) if profile is not None]
    counted = [profile.counted_ns / 1e6 for profile in (before, after) if profile is not None]
    whole = clean[0] - clean[1] if len(clean) > 1 else 0.0
    rows = [_row(title, item, whole, alone=after is None) for title, item in sums]
    rests = [a - b for a, b in zip(clean, counted, strict=True)]
    return LayerTable(
        rows=tuple(sorted(rows, key=_weight)),
        before_ms=clean[0],
        after_ms=clean[1] if after is not None else None,
        rest_before_ms=rests[0],
        rest_after_ms=rests[1] if after is not None else None,
        rest_share=(rests[0] - rests[1]) / whole if after is not None and whole else None,
    )


def _clean(profile: Profile) -> float:
    return (profile.clean_ns or profile.beside_ns or profile.counted_ns) / 1e6


def _weight(row: LayerRow) -> float:
    return -abs(row.gain_ms) if row.gain_ms is not None else -row.before_ms


def _row(title: str, item: _Sum, whole: float, *, alone: bool) -> LayerRow:
    first, second = item.times
    return LayerRow(
        title=title,
        operator=item.operator,
        before_ms=first,
        after_ms=None if alone else second,
        share=None if alone or not whole else (first - second) / whole,
        kernels=(", ".join(item.kernels[0]), ", ".join(item.kernels[1])),
        precisions=(", ".join(item.precisions[0]), ", ".join(item.precisions[1])),
        nodes=tuple(item.nodes),
    )


def _executed(before: Profile, after: Profile | None) -> list[tuple[str, _Sum]]:
    """Give a line for each kernel of the baseline with the variant's that do its work; others stand alone."""
    if after is None:
        return [(layer.name, _of(layer)) for layer in before.layers]
    found = []
    for group in match(before.layers, after.layers):
        item = _Sum()
        if group.baseline is not None:
            item.add(0, group.baseline, group.baseline.milliseconds, group.baseline.origins)
        for layer in (*group.main, *group.extra):
            item.add(1, layer, layer.milliseconds, layer.origins)
        first = group.baseline or next(iter((*group.main, *group.extra)), None)
        if first is not None:
            found.append((first.name, item))
    return found


def _of(layer: LayerProfile) -> _Sum:
    item = _Sum()
    item.add(0, layer, layer.milliseconds, layer.origins or layer.nodes)
    return item


def _by_node(
    before: Profile, after: Profile | None, grouping: Grouping, blocks: Mapping[str, str]
) -> list[tuple[str, _Sum]]:
    name: Callable[[str], str] = (lambda node: blocks.get(node, "outside the blocks")) if grouping == "block" else str
    sums: dict[str, _Sum] = {}
    for side, profile in enumerate((before, after)):
        for layer in profile.layers if profile is not None else ():
            nodes: Sequence[str] = layer.origins or layer.nodes if side == 0 else layer.origins
            keys = [name(node) for node in nodes] or [ADDED]
            for key, node in zip(keys, nodes or ("",), strict=True):
                sums.setdefault(key, _Sum()).add(side, layer, layer.milliseconds / len(keys), (node,) if node else ())
    if grouping == "block":
        for item in sums.values():
            item.operator = ""
    return list(sums.items())
