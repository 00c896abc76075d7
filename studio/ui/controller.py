"""What every view talks to: the session, signals of what changed, and the current selection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from studio.analysis.cold import ColdReport
from studio.benchmark import BenchOptions
from studio.core.errors import BurnishError
from studio.core.project import BASELINE
from studio.core.recipe import Recipe
from studio.jobs.protocol import Finished, JobEvent, Log, Progress, Samples, Started
from studio.session import Session, Topic
from studio.ui.automatic.search import AutomaticSearch
from studio.ui.background import Background
from studio.ui.theme import Tokens


class Controller(QObject):
    """The session as Qt sees it. All signals are emitted on the GUI thread; no method blocks.

    Signals
    -------
    changed(str)
        A `studio.session.Topic`, or ``"cold"``.
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
        Series (`Subject.key`), nanoseconds, and info: ``phase`` is ``"warmup"``, ``"steady"`` or ``"noise"`` (no
        samples, but ``first``, ``end`` and ``text``); ``job`` is that of the pair.
    busy(str, bool)
        Whether ``"open"``, ``"apply"``, ``"measure"``, ``"evaluate"``, ``"export"`` or ``"search"`` is under way.
    themed(object)
        The `Tokens` of the theme that was put on.
    closed()
        The window is being closed.
    node_asked(str)
        A node of the shown variant is to be shown in the graph.
    stop_asked()
        Everything is to stop.
    tab_asked(str)
        A tab of the centre is to be shown.
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
    node_asked = Signal(str)
    closed = Signal()
    stop_asked = Signal()
    tab_asked = Signal(str)

    def __init__(self, session: Session, tokens: Tokens, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.tokens = tokens
        self.background = Background(self)
        self.variant = BASELINE
        #: what the recipe starts from, and what is surveyed
        self.base = BASELINE
        self.device = ""
        #: cold starts by sha256 and device, for as long as the window is open
        self.cold: dict[tuple[str, str], ColdReport] = {}
        self.search = AutomaticSearch(self)
        session.listen(lambda topic: self.background.post(lambda: self._on_change(topic)))

    # selection

    @property
    def shows_known(self) -> bool:
        """Whether the shown variant is in the project: between an undo and the word of it, it may not be."""
        session = self.session
        return session.is_open and any(variant.id == self.variant for variant in session.project.variants)

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

    def energy(self) -> dict[tuple[str, str], float]:
        """Give the joules of an inference by sha256 and device, where they were read."""
        return {key: found.joules.median for key, found in self.cold.items() if found.joules is not None}

    def keep_cold(self, found: ColdReport) -> None:
        """Keep the figures of cold starts; `changed` says ``"cold"``."""
        self.cold[found.model_sha256, found.device] = found
        self.changed.emit("cold")

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
            if applied.reused:
                steps = len(applied.records)
                which = "Every step" if applied.reused == steps else f"{applied.reused} of {steps} steps"
                self.notice.emit(f"{which} had been computed before and cost nothing.")
            if then is not None:
                then(applied)

        self.start("apply", work, done)

    def measure(
        self,
        variants: list[str],
        options: BenchOptions,
        devices: list[str] | None = None,
        then: Callable[[Any], None] | None = None,
        *,
        extend: bool = False,
    ) -> None:
        """Measure variants live; `extend` adds pairs to what was measured before."""
        places = devices or ([self.device] if self.device else [])
        self.start(
            "measure",
            lambda: self.session.measure(variants, options, places, extend=extend, watch=self.watch),
            then,
        )

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
        self.stop_asked.emit()
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
            info = {**event.info, "job": event.job}
            self.background.post(lambda: self.samples.emit(event.series, event.values, info))
        elif isinstance(event, Started):
            # Asked for now: a short job is over, and forgotten by the pool, before the GUI thread hears of it.
            jobs = tuple(self.session.work.pool.jobs)
            self.background.post(lambda: self.started.emit(jobs))
            self.background.post(lambda: self.job_event.emit(event))
        elif isinstance(event, Progress | Log | Finished):
            self.background.post(lambda: self.job_event.emit(event))

    def close(self) -> None:
        """Deliver nothing more."""
        self.closed.emit()
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
