"""What every view talks to: the session, signals of what changed, and the current selection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from studio.benchmark import BenchOptions
from studio.core.errors import BurnishError
from studio.core.project import BASELINE
from studio.core.recipe import Recipe
from studio.jobs.protocol import Finished, JobEvent, Log, Progress, Samples, Started
from studio.session import Session, Topic
from studio.ui.background import Background
from studio.ui.theme import Tokens


class Controller(QObject):
    """The session as Qt sees it. All signals are emitted on the GUI thread; no method blocks.

    Signals
    -------
    changed(str)
        A `studio.session.Topic`.
    selected(str)
        Id of the variant that is shown.
    failed(object)
        A `BurnishError` to show in the message bar.
    notice(str)
        Something that was done, in one sentence.
    job_event(object)
        Any `JobEvent` but samples.
    started(tuple)
        The pool's jobs when one has started, before its first event.
    samples(str, list, dict)
        Series (`Subject.key`), nanoseconds, and info (``phase`` is ``"warmup"`` or ``"steady"``).
    busy(str, bool)
        Whether ``"open"``, ``"apply"``, ``"measure"``, ``"evaluate"`` or ``"export"`` is under way.
    themed(object)
        The `Tokens` of the theme that was put on.
    """

    changed = Signal(str)
    selected = Signal(str)
    failed = Signal(object)
    notice = Signal(str)
    job_event = Signal(object)
    started = Signal(tuple)
    samples = Signal(str, list, dict)
    busy = Signal(str, bool)
    themed = Signal(object)

    def __init__(self, session: Session, tokens: Tokens, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.tokens = tokens
        self.background = Background(self)
        self.variant = BASELINE
        #: what the recipe starts from, and what is surveyed
        self.base = BASELINE
        self.device = ""
        session.listen(lambda topic: self.background.post(lambda: self._on_change(topic)))

    # selection

    def select(self, variant: str) -> None:
        """Show another variant."""
        if variant != self.variant:
            self.variant = variant
            self.selected.emit(variant)

    def start_from(self, variant: str) -> None:
        """Let the recipe start from a variant, and survey it."""
        if variant != self.base:
            self.base = variant
            self.survey()

    def choose_device(self, spec: str) -> None:
        """Work on another device from now on, and survey for it."""
        if spec != self.device:
            self.device = spec
            self.changed.emit("devices")
            self.survey()

    def set_tokens(self, tokens: Tokens) -> None:
        """Tell every view of another theme."""
        self.tokens = tokens
        self.themed.emit(tokens)

    # work

    def open_path(self, path: Path) -> None:
        """Open a model file or a project folder."""
        opener = self.session.open_project if path.is_dir() else self.session.open_model
        self.start("open", lambda: opener(path, watch=self.watch), lambda _: self._opened())

    def open_with(self, opener: Callable[[], Any], then: Callable[[], None] | None = None) -> None:
        """Open by a call of one's own, such as `open_sample`."""

        def done(_: Any) -> None:
            self._opened()
            if then is not None:
                then()

        self.start("open", opener, done)

    def detect(self) -> None:
        """Detect devices."""
        self.background.run(lambda: self.session.detect(watch=self.watch), self._detected, self.failed.emit)

    def survey(self) -> None:
        """Survey every pass for the variant that the recipe starts from, and the device; once devices are known."""
        if self.session.is_open and self.session.detected is not None:
            variant, device = self.base, self.device
            self.background.run(lambda: self.session.survey(variant, device, watch=self.watch), failed=self.failed.emit)

    def apply(self, recipe: Recipe, name: str = "", then: Callable[[Any], None] | None = None) -> None:
        """Apply a recipe to the variant that it starts from, and show what it made."""
        parent, device = self.base, self.device

        def work() -> Any:
            return self.session.apply(recipe, parent=parent, name=name, device=device, watch=self.watch)

        def done(applied: Any) -> None:
            self.select(applied.variant.id)
            if then is not None:
                then(applied)

        self.start("apply", work, done)

    def measure(
        self,
        variants: list[str],
        options: BenchOptions,
        devices: list[str] | None = None,
        then: Callable[[Any], None] | None = None,
    ) -> None:
        """Measure variants live."""
        places = devices or ([self.device] if self.device else [])
        self.start("measure", lambda: self.session.measure(variants, options, places, watch=self.watch), then)

    def evaluate(self, variants: list[str], metrics: tuple[str, ...] = (), data: Path | None = None) -> None:
        """Evaluate variants; the first is the baseline."""
        device = self.device
        self.start("evaluate", lambda: self.session.evaluate(variants, metrics, data, device, watch=self.watch))

    def export(self, variant: str, exporter: str, target: Path, done: Callable[[Any], None]) -> None:
        """Export a variant."""
        device = self.device
        self.start(
            "export", lambda: self.session.export(variant, exporter, target, device=device, watch=self.watch), done
        )

    def stop(self) -> None:
        """Cancel every job."""
        for job in self.session.work.pool.jobs:
            job.cancel()

    def start(self, kind: str, work: Callable[[], Any], done: Callable[[Any], None] | None = None) -> None:
        """Run a blocking session call in turn with the others of its kind; `busy` frames it."""
        self.busy.emit(kind, True)

        def finish(result: Any) -> None:
            self.busy.emit(kind, False)
            if done is not None:
                done(result)

        def fail(error: BurnishError) -> None:
            self.busy.emit(kind, False)
            self.failed.emit(error)

        self.background.serial(work, finish, fail, lambda: self.busy.emit(kind, False))

    def watch(self, event: JobEvent) -> None:
        """Take a job event on the pool's thread and hand it to the GUI thread."""
        if isinstance(event, Samples):
            self.background.post(lambda: self.samples.emit(event.series, event.values, event.info))
        elif isinstance(event, Started):
            # Asked for now: a short job is over, and forgotten by the pool, before the GUI thread hears of it.
            jobs = tuple(self.session.work.pool.jobs)
            self.background.post(lambda: self.started.emit(jobs))
            self.background.post(lambda: self.job_event.emit(event))
        elif isinstance(event, Progress | Log | Finished):
            self.background.post(lambda: self.job_event.emit(event))

    def close(self) -> None:
        """Deliver nothing more."""
        self.background.close()

    def _on_change(self, topic: Topic) -> None:
        if topic in ("project", "variants") and self.session.is_open:
            known = {variant.id for variant in self.session.project.variants}
            if self.base not in known:
                self.start_from(BASELINE)
            if self.variant not in known:
                self.select(BASELINE)
        self.changed.emit(topic)

    def _opened(self) -> None:
        self.variant = self.base = BASELINE
        detected, wanted = self.session.detected, self.session.project.settings.device
        if detected is not None and wanted in {device.spec for device in detected.devices}:
            self.device = wanted
            self.changed.emit("devices")
        self.selected.emit(BASELINE)
        self.survey()

    def _detected(self, found: Any) -> None:
        specs = [device.spec for device in found.devices]
        wanted = self.session.project.settings.device if self.session.is_open else ""
        if not self.device and specs:
            self.choose_device(wanted if wanted in specs else specs[0])
        else:
            self.survey()
