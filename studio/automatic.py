"""Optimize for me, on an open project: every trial is a variant of it, as if it had been made by hand."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from studio.analysis.automatic import AutoOptions, AutoResult, Halt, Made, OnTrial, search
from studio.benchmark import BenchOptions
from studio.core.device import Device
from studio.core.errors import JobError
from studio.core.passes import Pass, Survey
from studio.core.project import BASELINE
from studio.core.recipe import Recipe, Step
from studio.core.search.trial import Loss, loss_of
from studio.core.statistics import RatioEstimate
from studio.jobs.protocol import Finished, JobEvent, Started
from studio.session import Session
from studio.workbench import Watch


def optimize_for_me(
    session: Session,
    options: AutoOptions | None = None,
    device: str = "",
    *,
    halt: Halt | None = None,
    on_trial: OnTrial | None = None,
    watch: Watch | None = None,
) -> AutoResult:
    """Search for the fastest variant of the baseline inside a budget on a device, and propose it.

    Parameters
    ----------
    options
        Budget and time limit. Without a metric the project's own counts, else the first that suits the data.
    halt
        Ends it from another thread; what was found is kept.
    on_trial
        Told what was found so far when a trial begins and when it ends, on this thread.

    Raises
    ------
    UsageError
        When no model is open or there is no such device.
    Cancelled
        When it was stopped before anything was tried.
    """
    chosen = options or AutoOptions()
    if not chosen.metric:
        chosen = chosen.model_copy(update={"metric": session.project.settings.metric})
    ending = halt or Halt()
    bench = SessionBench(session, session.device(device, watch=watch), watch)
    ending.attach(bench.cancel)
    timer = threading.Timer(chosen.time_limit, ending.ask, ("time",))
    timer.daemon = True
    timer.start()
    try:
        return search(bench, chosen, halt=ending, on_trial=on_trial)
    finally:
        timer.cancel()


class SessionBench:
    """The open project's baseline on a device, as the search sees it."""

    def __init__(self, session: Session, place: Device, watch: Watch | None) -> None:
        self.device = place.spec
        self.baseline_bytes = session.project.baseline.bytes
        self._session = session
        self._place = place
        self._watch = watch
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._ended = self._late = False

    def passes(self) -> Sequence[Pass]:
        """List the passes."""
        return self._session.work.registry.passes()

    def survey(self, steps: Sequence[Step]) -> dict[str, Survey]:
        """Survey steps on the baseline, or all passes."""
        return self._session.work.survey(self._session.artifact(), self._place, steps, watch=self._listen)

    def apply(self, recipe: Recipe, seconds: float) -> Made:
        """Make a variant of the baseline within so many seconds."""
        self._late = False
        timer = threading.Timer(seconds, self._interrupt)
        timer.daemon = True
        timer.start()
        try:
            applied = self._session.apply(recipe, name=recipe.name, device=self.device, watch=self._listen)
        finally:
            timer.cancel()
            self._late = False
        if applied.variant.id == BASELINE:
            raise JobError("The recipe changed nothing.", "Leave it out.")
        refused = self._session.refusal(applied.variant.id, self.device)
        if refused:
            raise JobError(refused, "Choose another device for it.")
        return Made(variant=applied.variant.id, bytes=applied.variant.bytes)

    def evaluate(self, variant: str, metric: str) -> Loss | None:
        """Evaluate a variant against the baseline on the project's evaluation data; generated data without any."""
        model = self._session.project.variant(variant).model
        found = self._session.evaluate([BASELINE, variant], device=self.device, watch=self._listen)
        # A variant whose bytes are the baseline's has the same hash: the last rows are the variant's.
        mine = [item for item in found if item.model_sha256 == model and item.model_name != BASELINE]
        return loss_of(mine, metric)

    def measure(self, variant: str, seconds: float) -> RatioEstimate:
        """Measure a variant in pairs with the baseline."""
        options = BenchOptions(seconds=seconds, data=self._session.data().evaluation)
        result = self._session.measure([BASELINE, variant], options, [self.device], watch=self._listen)
        if not result.pairs:
            failure = result.failures[0] if result.failures else None
            raise JobError(
                failure.message if failure else "It was not measured.", failure.hint if failure else "Measure it again."
            )
        return result.pairs[0].estimate

    def cancel(self) -> None:
        """Cancel what is under way and whatever would begin after it."""
        with self._lock:
            self._ended = True
        self._cancel_running()

    def _interrupt(self) -> None:
        """Cancel what is under way, and the steps of the recipe that would follow."""
        with self._lock:
            self._late = True
        self._cancel_running()

    def _cancel_running(self) -> None:
        with self._lock:
            mine = set(self._running)
        for job in self._session.work.pool.jobs:
            if job.id in mine:
                job.cancel()

    def _listen(self, event: JobEvent) -> None:
        """Remember which jobs are the search's own: others of the pool are left alone when it ends."""
        if isinstance(event, Started):
            with self._lock:
                self._running.add(event.job)
                late = self._ended or self._late
            if late:
                self._cancel_running()
        elif isinstance(event, Finished):
            with self._lock:
                self._running.discard(event.job)
        if self._watch is not None:
            self._watch(event)
