"""What the graph can be coloured by."""

from __future__ import annotations

from collections.abc import Callable

from studio.core.drawing.picture import Picture
from studio.ui.graph.overlay import Overlay, share

#: key to its title and what makes it from a picture; None colours by kind
OVERLAYS: dict[str, tuple[str, Callable[[Picture], Overlay | None]]] = {
    "kind": ("Kind of operator", lambda _: None),
    "macs": ("Multiply-accumulates", lambda picture: share("Share of multiply-accumulates", picture.macs)),
    "moved": ("Memory traffic", lambda picture: share("Share of bytes read and written", _traffic(picture))),
    "weights": ("Size of weights", lambda picture: share("Share of the weights' bytes", picture.weights)),
}


def _traffic(picture: Picture) -> list[float]:
    return [float(moved + stored) for moved, stored in zip(picture.moved, picture.weights, strict=True)]
