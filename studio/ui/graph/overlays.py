"""What the graph can be coloured by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from studio.core.drawing.picture import Picture
from studio.ui.graph.facts import Kind, NodeFacts
from studio.ui.graph.measured import (
    changes_overlay,
    error_overlay,
    levels,
    placement_overlay,
    precision_overlay,
    time_overlay,
    times,
    types_overlay,
    zeros_overlay,
)
from studio.ui.graph.overlay import Overlay, share
from studio.ui.graph.scene import Scene
from studio.ui.graph.shown import Shown

#: key to its title and what makes it from a picture; None colours by kind
OVERLAYS: dict[str, tuple[str, Callable[[Picture], Overlay | None]]] = {
    "kind": ("Kind of operator", lambda _: None),
    "macs": ("Multiply-accumulates", lambda picture: share("Share of multiply-accumulates", picture.macs)),
    "moved": ("Memory traffic", lambda picture: share("Share of bytes read and written", _traffic(picture))),
    "weights": ("Size of weights", lambda picture: share("Share of the weights' bytes", picture.weights)),
}
#: key to its title, the facts it needs of a job (none where they are at hand), and what it explains
FACTUAL: dict[str, tuple[str, Kind | None, str]] = {
    "time": ("Measured time", "profile", "Time of each layer as the runtime executed it, measured here"),
    "placement": ("Placement", "profile", "Which device executes each node"),
    "precision": ("Precision as executed", "profile", "The element type that the runtime computed each node in"),
    "types": ("Types in the file", None, "The element type of each node's result, as the file states it"),
    "zeros": ("Zeros in weights", "zeros", "How sparse the weights of each node are"),
    "errors": ("Quantization error", "errors", "SQNR of each node's result against the baseline's, on your data"),
    "difference": ("Difference side by side", None, "What became of each node in the graph beside this one"),
    "changes": ("What the step changed", None, "Nodes added, rewritten or re-typed against the variant's parent"),
}
NO_ERROR = "The baseline has no error: everything is compared with it. Show a variant."
NO_CHANGES = "This model was not made by a step: nothing was changed."


def titles() -> dict[str, tuple[str, str]]:
    """Give the title and the explanation of every overlay, by key."""
    plain = {key: (title, title) for key, (title, _) in OVERLAYS.items()}
    return plain | {key: (title, tip) for key, (title, _, tip) in FACTUAL.items()}


def overlay_of(
    key: str,
    scene: Scene,
    model: Shown,
    facts: NodeFacts,
    *,
    before: Mapping[str, float] | None = None,
    against: Shown | None = None,
) -> Overlay | str | None:
    """Make an overlay; None for the kinds of operators, a text where there is nothing to show, or not yet.

    What a job must find out is asked for.

    Parameters
    ----------
    before
        Time or SQNR of the same work in the other model, by this model's nodes.
    against
        The model beside it: the baseline's errors are those of that one.
    """
    if key in OVERLAYS:
        return OVERLAYS[key][1](scene.picture)
    if key == "types":
        return types_overlay(scene)
    if key == "changes":
        return changes_overlay(scene, model.changes, model.parent) if model.parent else NO_CHANGES
    kind = FACTUAL[key][1]
    assert kind is not None
    subject = _subject(key, model, against)
    if subject is None:
        return NO_ERROR
    facts.ask(kind, subject)
    known: Any = facts.get(kind, subject)
    if known is None:
        return facts.waiting(kind, subject)
    if key == "time":
        return time_overlay(scene, known, before)
    if key == "errors":
        return error_overlay(scene, known, source=model.is_baseline, before=before)
    if key == "zeros":
        return zeros_overlay(scene, known.shares)
    return (placement_overlay if key == "placement" else precision_overlay)(scene, known)


def figures_of(key: str, scene: Scene, model: Shown, facts: NodeFacts) -> dict[str, float] | None:
    """Give the figures behind an overlay that another model's are held against, as far as they are known."""
    if key == "time":
        profile = facts.get("profile", model)
        return None if profile is None else times(scene, profile)
    if key == "errors" and not model.is_baseline:
        errors = facts.get("errors", model)
        return None if errors is None else levels(errors)
    return None


def _subject(key: str, model: Shown, against: Shown | None) -> Shown | None:
    """Say whose facts an overlay shows: the baseline's errors are those of the model beside it."""
    if key != "errors" or not model.is_baseline:
        return model
    return None if against is None or against.is_baseline else against


def _traffic(picture: Picture) -> list[float]:
    return [float(moved + stored) for moved, stored in zip(picture.moved, picture.weights, strict=True)]
