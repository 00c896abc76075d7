"""Overlays made of what jobs found out, of what a step changed, and of how two graphs differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from studio.core.layererrors import LayerErrors
from studio.core.passes import NodeChange
from studio.core.profile import LayerProfile, Profile
from studio.ui.graph.overlay import Floats, Overlay
from studio.ui.graph.scene import Scene

#: an SQNR above this is as good as no error
BEST_DB = 60.0
CHANGES = {"added": "added", "rewritten": "rewritten", "retyped": "re-typed", "removed": "removed"}


def by_node(scene: Scene, values: Mapping[str, float]) -> Floats:
    """Give a value for each node of a scene, NaN where there is none."""
    found = np.full(scene.nodes, np.nan)
    for name, value in values.items():
        index = scene.index.get(name)
        if index is not None:
            found[index] = value
    return found


def times(scene: Scene, profile: Profile) -> dict[str, float]:
    """Give the nanoseconds of each node: a kernel's count for the node it is made for, the fused ones have none."""
    found: dict[str, float] = {}
    for layer in profile.layers:
        node = main_node(scene, layer)
        if node:
            found[node] = found.get(node, 0.0) + layer.nanoseconds
    return found


def main_node(scene: Scene, layer: LayerProfile) -> str:
    """Name the node that stands for a kernel: the last that does its arithmetic, else the first that is drawn."""
    return next((name for name in (*reversed(layer.cores), *layer.nodes) if name in scene.index), "")


def time_overlay(scene: Scene, profile: Profile, before: Mapping[str, float] | None = None) -> Overlay:
    """Show the measured time of each node; with `before`, the other model's time of the same work, the change too."""
    known = times(scene, profile)
    whole = max(1, profile.counted_ns)

    def write(value: float) -> str:
        return f"{value / 1e6:.3f} ms · {100 * value / whole:.1f} %"

    values = by_node(scene, known)
    notes = _differences(scene, values, before, lambda value, gap: f"{value / 1e6:.3f} ms ({gap / 1e6:+.3f})")
    return Overlay(f"Measured time on {profile.device}", values, write, notes=notes)


def levels(errors: LayerErrors, *, source: bool = False) -> dict[str, float]:
    """Give the SQNR in dB of each node of the variant, or of the baseline; at most `BEST_DB`."""
    return {item.node if source else item.other_node: min(BEST_DB, item.sqnr_db) for item in errors.tensors}


def error_overlay(
    scene: Scene, errors: LayerErrors, *, source: bool = False, before: Mapping[str, float] | None = None
) -> Overlay:
    """Show the SQNR of each node's result.

    Parameters
    ----------
    source
        Whether the graph is the baseline's.
    before
        SQNR of the other model, by this model's nodes: the change is shown too.
    """
    known = levels(errors, source=source)
    title = "SQNR against the baseline" + (", generated inputs" if errors.synthetic else "")

    def write(value: float) -> str:
        return f"SQNR {value:.1f} dB" if value < BEST_DB else f"SQNR over {BEST_DB:.0f} dB"

    values = by_node(scene, known)
    notes = _differences(scene, values, before, lambda value, gap: f"SQNR {value:.1f} dB ({gap:+.1f})")
    return Overlay(title, values, write, over="min", inverted=True, notes=notes)


def zeros_overlay(scene: Scene, shares: Mapping[str, float]) -> Overlay:
    """Show how many weights are zero."""
    return Overlay("Zeros in weights", by_node(scene, shares), lambda value: f"{100 * value:.1f} % zeros", over="mean")


def placement_overlay(scene: Scene, profile: Profile) -> Overlay:
    """Show which device executes each node."""
    return class_overlay(
        scene, "Executed by", {name: layer.placement or profile.device for layer, name in _nodes(profile)}
    )


def precision_overlay(scene: Scene, profile: Profile) -> Overlay:
    """Show the element type that each node was executed in."""
    found = {name: layer.precision for layer, name in _nodes(profile) if layer.precision}
    return class_overlay(scene, f"Precision on {profile.device}", found)


def types_overlay(scene: Scene) -> Overlay:
    """Show the element type of each node's result as the file states it."""
    texts = scene.picture.shapes
    found = {name: dtype for name, index in scene.index.items() if (dtype := texts[index].partition(" ")[0]).isalnum()}
    return class_overlay(scene, "Type of the result", found)


def changes_overlay(scene: Scene, changes: Sequence[NodeChange], parent: str) -> Overlay:
    """Show what the step that made a variant did to its parent."""
    found = {change.node: CHANGES[change.change] for change in changes if change.change != "removed"}
    removed = sum(change.change == "removed" for change in changes)
    more = f", {removed:,} removed" if removed else ""
    order = [name for name in CHANGES.values() if name in found.values()]
    return class_overlay(scene, f"Changed against {parent}{more}", found, order, rest="unchanged")


def class_overlay(
    scene: Scene, title: str, classes: Mapping[str, str], order: Sequence[str] = (), rest: str = ""
) -> Overlay:
    """Show a class of each node, by name: the commonest first unless `order` lists them; `rest` is for the others."""
    counts: dict[str, int] = {}
    for name in scene.index:
        found = classes.get(name, rest)
        counts[found] = counts.get(found, 0) + 1
    counts.pop("", None)
    listed = list(order) or sorted(counts, key=lambda name: -counts[name])
    names = tuple(dict.fromkeys(([rest] if rest else []) + listed))
    place = {name: float(index) for index, name in enumerate(names)}
    values = by_node(scene, {name: place[classes.get(name, rest)] for name in scene.index if classes.get(name, rest)})
    return Overlay(title, values, lambda value: names[int(value)], classes=names)


def _nodes(profile: Profile) -> list[tuple[LayerProfile, str]]:
    return [(layer, name) for layer in profile.layers for name in layer.nodes]


def _differences(
    scene: Scene, values: Floats, before: Mapping[str, float] | None, write: Callable[[float, float], str]
) -> Mapping[int, str] | None:
    """Write the change against the other model at each node that has a time in both."""
    if before is None:
        return None
    found = {}
    for name, earlier in before.items():
        index = scene.index.get(name)
        if index is not None and np.isfinite(values[index]):
            found[index] = write(float(values[index]), float(values[index]) - earlier)
    return found
