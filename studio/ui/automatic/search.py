"""The search as Qt sees it: one at a time, started and stopped from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from studio.analysis.automatic import AutoOptions, AutoResult, Halt

if TYPE_CHECKING:
    from studio.ui.controller import Controller

KIND = "search"


class AutomaticSearch(QObject):
    """Runs `studio.automatic.optimize_for_me` in the background.

    Signals
    -------
    progressed(object)
        The `AutoResult` so far: when a trial begins, when it ends, and at the end.
    running_changed(bool)
        Whether a search is under way.
    options_changed(object)
        The `AutoOptions` that the next search takes.
    """

    progressed = Signal(object)
    running_changed = Signal(bool)
    options_changed = Signal(object)

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self._controller = controller
        self._halt = Halt()
        self.options = AutoOptions()
        self.result: AutoResult | None = None
        self.running = False
        controller.busy.connect(self._on_busy)
        controller.stop_asked.connect(self.stop)
        controller.changed.connect(self._on_change)
        self._document = ""

    def set_options(self, **changes: float) -> None:
        """Change budget (points) or time limit (seconds) of the next search."""
        options = self.options.model_copy(update=changes)
        if options != self.options:
            self.options = options
            self.options_changed.emit(options)

    def start(self) -> None:
        """Search on the chosen device; nothing happens while one runs or no model is open."""
        controller = self._controller
        session = controller.session
        if self.running or not session.is_open:
            return
        self._halt = halt = Halt()
        self.result = None
        options, device = self.options, controller.device

        def tell(result: AutoResult) -> None:
            controller.background.post(lambda: self._take(result))

        def work() -> AutoResult:
            # Here and not above: what it needs is not needed for the first picture.
            from studio.automatic import optimize_for_me

            return optimize_for_me(session, options, device, halt=halt, on_trial=tell, watch=controller.watch)

        controller.start(KIND, work, self._done)

    def stop(self) -> None:
        """End it; the best so far is kept and proposed."""
        if self.running:
            # Cancelling waits for locks of the pool.
            halt = self._halt
            self._controller.background.run(halt.ask)

    def _take(self, result: AutoResult) -> None:
        self.result = result
        self.progressed.emit(result)

    def _done(self, result: AutoResult) -> None:
        self._take(result)
        best = result.best
        controller = self._controller
        if best is not None and controller.session.is_open:
            known = {variant.id for variant in controller.session.project.variants}
            if best.variant in known:
                controller.select(best.variant)
        controller.notice.emit(f"Optimize for me: {summary(result)}")

    def _on_busy(self, kind: str, busy: bool) -> None:
        if kind == KIND:
            self.running = busy
            self.running_changed.emit(busy)

    def _on_change(self, topic: str) -> None:
        """Forget what was found for another model."""
        session = self._controller.session
        if topic == "project" and session.is_open and not self.running:
            model = session.project.baseline.model
            if self._document not in ("", model):
                self.result = None
                self.progressed.emit(None)
            self._document = model


def summary(result: AutoResult) -> str:
    """Write what is proposed in one sentence."""
    best = result.best
    if best is None or best.speed is None or best.loss is None:
        return f"{result.choice.reason}."
    lost = f"{best.loss.points:.2f} points lost" if best.loss.points > 0 else "nothing lost"
    return f"{best.name}, {best.speed.text}, {lost}: {result.choice.reason}."
