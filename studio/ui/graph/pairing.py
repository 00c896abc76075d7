"""Two scenes and what stands for what in them. No widget: made on background threads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.core.counterparts import Counterparts, Kind, Marks, Status, by_provenance, mark
from studio.jobs.tasks.counterparts import MatchNodes
from studio.ui.graph.measured import class_overlay
from studio.ui.graph.overlay import Overlay
from studio.ui.graph.scene import Scene
from studio.ui.graph.shown import Shown
from studio.workbench import Watch, Workbench

STATUSES: tuple[Status, ...] = ("same", "fused", "re-typed", "rewritten", "added", "removed")


@dataclass(frozen=True)
class Matched:
    """Two models' nodes against each other; `swapped` where the one on the right is the earlier one."""

    marks: Marks
    by: str
    swapped: bool

    def statuses(self, *, left: bool) -> dict[str, Status]:
        """Give what became of each node of one side."""
        return self.marks.first if left != self.swapped else self.marks.second

    def others(self, *, left: bool) -> dict[str, tuple[str, ...]]:
        """Give for each node of one side those of the other."""
        found: dict[str, list[str]] = defaultdict(list)
        for source, name in self.marks.main.items():
            here, there = (source, name) if left != self.swapped else (name, source)
            found[here].append(there)
        return {name: tuple(names) for name, names in found.items()}

    def overlay(self, scene: Scene, *, left: bool) -> Overlay:
        """Colour one side by what became of its nodes."""
        statuses = self.statuses(left=left)
        order = [status for status in STATUSES if status in set(statuses.values())]
        return class_overlay(scene, "Against the other graph", statuses, order)

    def summary(self) -> str:
        """Count what became of the nodes."""
        counts: Counter[Status] = Counter(status for status in self.marks.second.values() if status != "same")
        counts["removed"] = sum(status == "removed" for status in self.marks.first.values())
        parts = [f"{counts[status]:,} {status}" for status in STATUSES if counts[status]]
        how = "matched by origin" if self.by == "provenance" else "matched by weights and structure"
        return f"{', '.join(parts) or 'no node differs'}; {how}"


def match(work: Workbench, left: tuple[Shown, Scene], right: tuple[Shown, Scene], watch: Watch) -> Matched:
    """Match two models: by provenance where both are of the project, else in a worker."""
    swapped = right[0].order < left[0].order
    first, second = (right, left) if swapped else (left, right)
    kinds = [_kinds(scene) for _, scene in (first, second)]
    if first[0].variant and second[0].variant:
        origins = [None if shown.is_baseline else shown.provenance for shown, _ in (first, second)]
        found = by_provenance(kinds[0], kinds[1], origins[0], origins[1])
    else:
        request = MatchNodes(first=first[0].artifact, second=second[0].artifact)
        label = f"match {second[0].name} with {first[0].name}"
        found = Counterparts.model_validate(work.run_task("counterparts", request, label, watch=watch))
    return Matched(mark(kinds[0], kinds[1], found.pairs), found.by, swapped)


def items_across(scene: Scene, other: Scene, names: Mapping[str, tuple[str, ...]]) -> NDArray[np.intp]:
    """Give for each item of a scene the item of the other that stands for it, for most of its nodes; -1 for none."""
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for name, theirs in names.items():
        index = scene.index.get(name)
        if index is None:
            continue
        for target in theirs:
            item = other.item_of(target)
            if item is not None:
                votes[int(scene.picture.of_node[index])][item] += 1
    found = np.full(scene.count, -1, np.intp)
    for here, counted in votes.items():
        found[here] = counted.most_common(1)[0][0]
    return found


def carried(
    values: Mapping[str, float],
    names: Mapping[str, tuple[str, ...]],
    together: Callable[[list[float]], float] = sum,
) -> dict[str, float]:
    """Give the values of one side to the other side's nodes, those of nodes that became one taken together."""
    found: dict[str, float] = {}
    for name, theirs in names.items():
        known = [values[other] for other in theirs if other in values]
        if known:
            found[name] = together(known)
    return found


def _kinds(scene: Scene) -> dict[str, Kind]:
    operators, shapes = scene.picture.operators, scene.picture.shapes
    return {name: Kind(operators[at], shapes[at].partition(" ")[0]) for name, at in scene.index.items()}
