"""Searching for the fastest model inside an accuracy budget and a time limit, one trial after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from pydantic import Field

from studio.core.errors import BurnishError, Cancelled
from studio.core.frozen import Frozen
from studio.core.passes import Pass, Survey
from studio.core.recipe import Recipe, Step
from studio.core.search.levers import Lever, hopeful, make_lever, preparation, strengths
from studio.core.search.planning import Candidate, Plan
from studio.core.search.trial import Choice, Loss, Trial, choose, pareto
from studio.core.statistics import RatioEstimate

#: trials at most, whatever the time
MOST_TRIALS = 60
#: levers at most: each is tried alone before it is combined
MOST_LEVERS = 8
#: a variant that loses so many times the budget, and so many points, is not worth a measurement
FAR, FAR_POINTS = 5.0, 10.0
#: making a variant may take its share of the time that is left, and so many seconds at least
SHORTEST_SHARE = 20.0
#: why it ended: nothing more is expected to gain, the time is up, it was asked to, or it had tried enough
End = Literal["exhausted", "time", "asked", "enough", ""]


class AutoOptions(Frozen):
    """What may be lost, and how long it may take.

    Attributes
    ----------
    budget
        Points of the metric that may be lost, see `studio.core.search.trial.Loss`.
    time_limit
        Seconds for everything; what is under way then is stopped.
    seconds
        Time for each measurement of a pair.
    metric
        Id of the metric that counts; empty for the first that suits the data.
    """

    budget: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    time_limit: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    seconds: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    metric: str = ""


class AutoResult(Frozen):
    """What was found so far; `front` holds names of trials, `ended` is empty while it goes on."""

    options: AutoOptions
    device: str
    trials: tuple[Trial, ...] = ()
    front: tuple[str, ...] = ()
    choice: Choice = Choice(reason="nothing was tried yet")
    levers: tuple[Lever, ...] = ()
    ended: End = ""
    #: what is tried at the moment
    trying: str = ""
    seconds: float = 0.0

    @property
    def best(self) -> Trial | None:
        """The trial that is proposed."""
        return next((trial for trial in self.trials if trial.name == self.choice.name), None)


class Made(Frozen):
    """A variant that a recipe made."""

    variant: str
    bytes: int


class Bench(Protocol):
    """What the search works on: a baseline on a device. All calls block; `Cancelled` ends the trial."""

    device: str
    baseline_bytes: int

    def passes(self) -> Sequence[Pass]:
        """List the passes."""

    def survey(self, steps: Sequence[Step]) -> dict[str, Survey]:
        """Survey steps, or all passes."""

    def apply(self, recipe: Recipe, seconds: float) -> Made:
        """Make a variant; raises `BurnishError` when a step fails, `Cancelled` when it takes longer than that."""

    def evaluate(self, variant: str, metric: str) -> Loss | None:
        """Say what a variant loses against the baseline."""

    def measure(self, variant: str, seconds: float) -> RatioEstimate:
        """Measure a variant in pairs with the baseline."""


class Halt:
    """Ends a search from another thread: what is under way is cancelled, what was found is kept."""

    def __init__(self) -> None:
        self.reason: End = ""
        self._cancel: Callable[[], object] = bool
        self._lock = threading.Lock()

    def attach(self, cancel: Callable[[], object]) -> None:
        """Name what ends the work under way."""
        self._cancel = cancel

    def ask(self, reason: End = "asked") -> None:
        """End it; only the first reason counts."""
        with self._lock:
            if self.reason:
                return
            self.reason = reason
        self._cancel()


OnTrial = Callable[[AutoResult], None]


def search(
    bench: Bench,
    options: AutoOptions,
    *,
    halt: Halt | None = None,
    on_trial: OnTrial | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AutoResult:
    """Try recipes until nothing more is expected to gain, the time is up, or it is asked to end.

    A recipe that fails is a trial that says why; the search goes on.

    Parameters
    ----------
    on_trial
        Told what was found so far when a trial begins and when it ends.

    Raises
    ------
    BurnishError
        When the passes cannot be surveyed.
    Cancelled
        When it was stopped before the passes were surveyed.
    """
    return _Search(bench, options, halt or Halt(), on_trial or _ignore, clock).run()


class _Search:
    def __init__(
        self, bench: Bench, options: AutoOptions, halt: Halt, on_trial: OnTrial, clock: Callable[[], float]
    ) -> None:
        self._bench, self._options, self._halt, self._tell, self._clock = bench, options, halt, on_trial, clock
        self._began = clock()
        self._levers: tuple[Lever, ...] = ()
        self._trials: list[Trial] = []
        #: what took longer than its share, to be gone on with when nothing else is left
        self._postponed: list[Candidate] = []
        self._get = {the_pass.id: the_pass for the_pass in bench.passes()}

    def run(self) -> AutoResult:
        self._say(trying="surveying the passes")
        surveys = self._bench.survey(())
        passes = tuple(self._get.values())
        self._levers = self._find_levers(passes, surveys)
        plan = Plan(preparation(passes, surveys), self._levers, self._options.budget, self._get.__getitem__)
        ended: End = ""
        while not ended:
            ended = self._ended()
            candidate = None if ended else plan.propose(self._trials)
            share = self._share(candidate)
            if candidate is None and not ended:
                candidate = self._resumed()
            if candidate is None:
                ended = ended or "exhausted"
                break
            self._say(trying=candidate.name)
            trial = self._try(candidate, share)
            if trial.state == "postponed":
                self._postponed.append(candidate)
            self._trials.append(trial)
            self._say()
        return self._say(ended=ended)

    def _left(self) -> float:
        return self._options.time_limit - (self._clock() - self._began)

    def _share(self, candidate: Candidate | None) -> float:
        """Give the seconds that making a variant may take: while levers wait, no one takes all of the time."""
        tried = {name for trial in self._trials for name in trial.parts}
        waiting = sum(lever.pass_id not in tried for lever in self._levers)
        return self._left() if candidate is None else max(SHORTEST_SHARE, self._left() / (1 + waiting))

    def _resumed(self) -> Candidate | None:
        """Go on with what was postponed, where it may still lead to more than what was found."""
        best = choose(self._trials, self._bench.baseline_bytes)
        ratios = [trial.speed.ratio for trial in self._trials if trial.name == best.name and trial.speed is not None]
        while self._postponed:
            candidate = max(self._postponed, key=lambda item: item.speed)
            self._postponed.remove(candidate)
            self._trials = [trial for trial in self._trials if trial.name != candidate.name]
            # A lever alone may gain together with others, whatever it gains alone.
            if len(candidate.parts) == 1 or candidate.speed > max(ratios, default=1.0):
                return candidate
        return None

    def _ended(self) -> End:
        if self._halt.reason:
            return self._halt.reason
        if self._clock() - self._began >= self._options.time_limit:
            return "time"
        return "enough" if len(self._trials) >= MOST_TRIALS else ""

    def _find_levers(self, passes: Sequence[Pass], surveys: dict[str, Survey]) -> tuple[Lever, ...]:
        """Survey every setting of the passes that may gain; one survey job takes one setting of each pass."""
        chosen = hopeful(passes, surveys)[:MOST_LEVERS]
        steps = {the_pass.id: strengths(the_pass) for the_pass in chosen}
        found: dict[str, list[tuple[Step, Survey]]] = {the_pass.id: [] for the_pass in chosen}
        for number in range(max((len(each) for each in steps.values()), default=0)):
            wanted = [each[number] for each in steps.values() if number < len(each)]
            defaults = [step for step in wanted if not step.params]
            others = [step for step in wanted if step.params]
            known = {step.pass_id: surveys[step.pass_id] for step in defaults}
            if others:
                known |= self._bench.survey(others)
            for step in wanted:
                found[step.pass_id].append((step, known[step.pass_id]))
        levers = (make_lever(the_pass, found[the_pass.id]) for the_pass in chosen)
        return tuple(sorted((lever for lever in levers if lever is not None), key=lambda lever: -lever.hoped))

    def _try(self, candidate: Candidate, share: float) -> Trial:
        """Apply, evaluate and measure one recipe; whatever goes wrong is said in the trial."""
        began = self._clock()
        trial = Trial(name=candidate.name, parts=candidate.parts, recipe=candidate.recipe, state="failed")
        try:
            trial = self._measured(trial, share)
        except Cancelled:
            late = not self._halt.reason and self._clock() - began >= share
            news = {"state": "postponed", "why": LATER} if late else {"state": "unmeasured", "why": STOPPED}
            trial = trial.model_copy(update=news)
        except KeyboardInterrupt:
            self._halt.ask()
            trial = trial.model_copy(update={"state": "unmeasured", "why": STOPPED})
        except BurnishError as error:
            trial = trial.model_copy(update={"why": str(error)})
        return trial.model_copy(update={"seconds": self._clock() - began})

    def _measured(self, trial: Trial, share: float) -> Trial:
        made = self._bench.apply(trial.recipe, share)
        trial = trial.model_copy(update={"variant": made.variant, "bytes": made.bytes})
        loss = self._bench.evaluate(made.variant, self._options.metric)
        if loss is None:
            return trial.model_copy(update={"why": "no metric says what it loses"})
        inside = loss.points <= self._options.budget
        trial = trial.model_copy(update={"loss": loss, "inside": inside})
        if loss.points > max(FAR * self._options.budget, FAR_POINTS):
            return trial.model_copy(update={"state": "unmeasured", "why": "far outside the budget: not measured"})
        speed = self._bench.measure(made.variant, self._options.seconds)
        return trial.model_copy(update={"state": "measured", "speed": speed})

    def _say(self, *, trying: str = "", ended: End = "") -> AutoResult:
        result = AutoResult(
            options=self._options,
            device=self._bench.device,
            trials=tuple(self._trials),
            front=tuple(trial.name for trial in pareto(self._trials)),
            choice=choose(self._trials, self._bench.baseline_bytes) if self._trials else Choice(reason=_NOTHING),
            levers=self._levers,
            ended=ended,
            trying=trying,
            seconds=self._clock() - self._began,
        )
        self._tell(result)
        return result


LATER = "it takes longer than its share of the time: gone on with when nothing else is left"
STOPPED = "stopped before it was done"
_NOTHING = "no pass promises more speed here: keep the baseline"


def _ignore(result: AutoResult) -> None:
    """Drop what nobody listens to."""
