"""What jobs find out about the nodes of a model: asked for once for each model and device, then kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from PySide6.QtCore import QObject, Signal

from studio.analysis.layer_errors import layer_errors
from studio.analysis.profile import profile_layers
from studio.benchmark import BenchOptions
from studio.core.errors import BurnishError
from studio.core.project import BASELINE
from studio.jobs.tasks.sparsity import CountZeros, Zeros
from studio.jobs.tasks.subject import Subject
from studio.ui.controller import Controller
from studio.ui.graph.shown import Shown, shown

Kind = Literal["profile", "errors", "zeros"]
#: what is said while a job is at it
UNDER_WAY: dict[Kind, str] = {
    "profile": "Measuring each layer of {name} on {device} …",
    "errors": "Comparing the layers of {name} with the baseline's …",
    "zeros": "Counting the zeros in the weights of {name} …",
}


def facts_of(controller: Controller) -> NodeFacts:
    """Give the facts that every part of a window shares."""
    return controller.findChild(NodeFacts) or NodeFacts(controller, controller)


class NodeFacts(QObject):
    """Finds facts out in workers. `found` says that something new is there, `failed` that a job gave nothing."""

    found = Signal()
    failed = Signal(str)

    def __init__(self, controller: Controller, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._known: dict[tuple[str, ...], Any] = {}
        self._waiting: set[tuple[str, ...]] = set()

    def get(self, kind: Kind, model: Shown) -> Any:
        """Give what is known: a `Profile`, `LayerErrors` or `Zeros`; None where it was not asked for yet."""
        return self._known.get(self._key(kind, model))

    def waiting(self, kind: Kind, model: Shown) -> str:
        """Say what is under way for a model; empty when nothing is."""
        if self._key(kind, model) not in self._waiting:
            return ""
        return UNDER_WAY[kind].format(name=model.name, device=self._controller.device or "the device")

    def ask(self, kind: Kind, model: Shown) -> None:
        """Start finding out, unless it is known or under way; never blocks."""
        key = self._key(kind, model)
        if key in self._known or key in self._waiting:
            return
        self._waiting.add(key)
        works: dict[Kind, Callable[[Shown, str], Any]] = {
            "profile": self._profile,
            "errors": self._errors,
            "zeros": self._zeros,
        }

        def done(value: Any) -> None:
            self._waiting.discard(key)
            self._known[key] = value
            self.found.emit()

        def end(error: BurnishError | None = None) -> None:
            self._waiting.discard(key)
            self.failed.emit(kind)
            if error is not None:
                self._controller.failed.emit(error)

        device = self._controller.device
        self._controller.background.run(partial(works[kind], model, device), done, end, end)

    def _key(self, kind: Kind, model: Shown) -> tuple[str, ...]:
        if kind == "zeros":
            return kind, model.artifact.sha256
        settings = self._controller.session.project.settings
        data = (settings.evaluation, settings.calibration, settings.preprocess, settings.read, settings.split)
        if kind == "profile":
            return kind, model.artifact.sha256, self._controller.device, *data
        baseline = self._controller.session.project.baseline.model
        return kind, model.artifact.sha256, baseline, self._controller.device, *data

    # on threads of their own

    def _profile(self, model: Shown, device: str) -> Any:
        session = self._controller.session
        subject = Subject(name=model.name, artifact=model.artifact, device=session.device(device))
        options = BenchOptions(data=session.data().evaluation)
        return profile_layers(session.work, subject, options, watch=self._controller.watch)

    def _errors(self, model: Shown, device: str) -> Any:
        session = self._controller.session
        place, data = session.device(device), session.data()
        base = shown(session, BASELINE)
        return layer_errors(
            session.work,
            Subject(name=base.name, artifact=base.artifact, device=place),
            Subject(name=model.name, artifact=model.artifact, device=place),
            data.evaluation or data.calibration,
            provenance=model.provenance,
            watch=self._controller.watch,
        )

    def _zeros(self, model: Shown, device: str) -> Any:
        session = self._controller.session
        found = session.work.run_task(
            "sparsity",
            CountZeros(artifact=model.artifact),
            f"look at the weights of {model.name}",
            artifact=model.artifact,
            watch=self._controller.watch,
        )
        return Zeros.model_validate(found)
