"""What the colours of one graph, or of two side by side, show now."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from studio.ui.controller import Controller
from studio.ui.graph.beside import Beside
from studio.ui.graph.canvas import GraphCanvas
from studio.ui.graph.facts import facts_of
from studio.ui.graph.legend import Legend
from studio.ui.graph.overlay import Overlay
from studio.ui.graph.overlays import FACTUAL, figures_of, overlay_of
from studio.ui.graph.pairing import carried
from studio.ui.graph.scene import Scene
from studio.ui.graph.shown import Shown

PLAIN, DIFFERENCE = "kind", "difference"
NO_OTHER = "Choose what to show side by side first."


class Colouring(QObject):
    """Makes the overlays that were chosen, when what they need is known. `shown` gives the key of another one."""

    shown = Signal(str)

    def __init__(self, controller: Controller, canvas: GraphCanvas, beside: Beside, legend: Legend) -> None:
        super().__init__(beside)
        self.facts = facts_of(controller)
        self._canvas, self._beside, self._legend = canvas, beside, legend
        self._model: Shown | None = None
        self._key = PLAIN
        self.facts.found.connect(self.refresh)
        self.facts.failed.connect(self._on_failed)
        controller.changed.connect(self._on_change)

    @property
    def key(self) -> str:
        """What is shown: a key of `overlays.titles`."""
        return self._key

    def set_model(self, model: Shown | None) -> None:
        """Take the model of the first graph."""
        self._model = model

    def show(self, key: str) -> None:
        """Show something else."""
        self._key = key
        self.shown.emit(key)
        self.refresh()

    def with_beside(self) -> None:
        """Show what differs, unless something else than the kinds of operators was chosen."""
        if self._key == PLAIN:
            self.show(DIFFERENCE)
        else:
            self.refresh()

    def without_beside(self) -> None:
        """Show kinds of operators again, where what differs was shown."""
        if self._key == DIFFERENCE:
            self.show(PLAIN)
        else:
            self.refresh()

    def refresh(self) -> None:
        """Colour both graphs by what is known now; what is not is asked for."""
        said = self._colour(self._canvas, self._model, left=True)
        if self._beside.model is not None:
            self._colour(self._beside.canvas, self._beside.model, left=False)
        if isinstance(said, str):
            self._legend.set_note(said)
        else:
            self._legend.set_overlay(said)

    def _colour(self, canvas: GraphCanvas, model: Shown | None, *, left: bool) -> Overlay | str | None:
        scene = canvas.scene
        if scene is None or model is None:
            return None
        found = self._overlay(scene, model, left=left)
        canvas.set_overlay(None if isinstance(found, str) else found)
        return found

    def _overlay(self, scene: Scene, model: Shown, *, left: bool) -> Overlay | str | None:
        link = self._beside.link
        if self._key == DIFFERENCE:
            if link is None or scene is not (link.left if left else link.right):
                return NO_OTHER
            return link.matched.overlay(scene, left=left)
        against = self._beside.model if left else self._model
        before = self._before(left=left)
        return overlay_of(self._key, scene, model, self.facts, before=before, against=against)

    def _before(self, *, left: bool) -> dict[str, float] | None:
        """Give the figures of the earlier model by the later one's nodes; None on the earlier one's side."""
        link = self._beside.link
        if link is None or link.matched.swapped != left or self._model is None or self._beside.model is None:
            return None
        scene, model = (link.right, self._beside.model) if left else (link.left, self._model)
        known = figures_of(self._key, scene, model, self.facts)
        together = min if self._key == "errors" else sum
        return None if known is None else carried(known, link.matched.others(left=left), together)

    def _on_failed(self, kind: str) -> None:
        if self._key in FACTUAL and FACTUAL[self._key][1] == kind:
            self.show(PLAIN)

    def _on_change(self, topic: str) -> None:
        if topic == "devices" and self._key in FACTUAL:
            self.refresh()
