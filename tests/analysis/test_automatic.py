"""The search on a made-up machine, where what every recipe gains and loses is known; and once on the sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import pytest

from studio.analysis.automatic import LATER, STOPPED, AutoOptions, AutoResult, Halt, Made, search
from studio.automatic import optimize_for_me
from studio.core.errors import Cancelled, PassError
from studio.core.params import Params, param
from studio.core.passes import Pass, Range, Survey
from studio.core.recipe import Recipe, Step
from studio.core.search.trial import Loss
from studio.core.statistics import RatioEstimate
from studio.sample import open_sample
from studio.session import Session
from studio.workbench import Workbench


class Shrinking(Params):
    keep: float = param(0.5, "What stays.", ge=0, le=1, candidates=(0.75, 0.5, 0.25))


class MadeUp(Pass):
    def __init__(self, name: str, family: Literal["graph", "precision", "structure"], high: float, **more: Any) -> None:
        self.id, self.title, self.family = name, name, family  # type: ignore[misc]
        self.high = high
        self.Params = more.get("params", Params)  # type: ignore[misc]
        self.prepares = more.get("prepares", False)  # type: ignore[misc]
        self.behind = more.get("behind", "")

    def survey(self, *args: Any) -> Survey:
        raise NotImplementedError

    def apply(self, *args: Any) -> Any:
        raise NotImplementedError

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        return self.behind if any(step.pass_id.startswith("precision") for step in earlier) else ""


class Machine:
    """Speeds multiply and losses add, unless a test says otherwise; each call takes a second of its clock."""

    device = "made-up:CPU"
    baseline_bytes = 1000
    prepare: ClassVar = MadeUp("graph.prepare", "graph", 1.0, prepares=True)

    def __init__(self, *passes: Pass, truth: dict[str, tuple[float, float]], slow: Sequence[str] = ()) -> None:
        self._passes = (self.prepare, *passes)
        self.truth = truth
        self.slow = slow
        self.now = 0.0
        self.applied: list[str] = []
        self.measured: list[str] = []
        self.during: Callable[[str], None] = lambda _: None
        self._recipes: dict[str, Recipe] = {}

    def clock(self) -> float:
        return self.now

    def passes(self) -> Sequence[Pass]:
        return self._passes

    def survey(self, steps: Sequence[Step]) -> dict[str, Survey]:
        wanted = steps or [Step(pass_id=item.id) for item in self._passes]
        return {step.pass_id: self._survey(step) for step in wanted}

    def _survey(self, step: Step) -> Survey:
        one = next(item for item in self._passes if item.id == step.pass_id)
        assert isinstance(one, MadeUp)
        factor = 0.5 / step.params.get("keep", 0.5)
        speed = Range(low=1.0, high=1 + (one.high - 1) * factor, reason="made up")
        return Survey(applies=True, summary="", speed=speed)

    def apply(self, recipe: Recipe, seconds: float) -> Made:
        self.now += 1
        self.applied.append(recipe.name)
        self.during(recipe.name)
        for name in self.slow:
            if name in recipe.name and seconds < 1000:
                self.now += seconds
                raise Cancelled
        for step in recipe.steps[1:]:
            if self.key(step) not in self.truth:
                raise PassError(f"{step.pass_id} does not work.", "Leave it out.")
        self._recipes[recipe.name] = recipe
        return Made(variant=recipe.name, bytes=500)

    @staticmethod
    def key(step: Step) -> str:
        keep = step.params.get("keep")
        return step.pass_id if keep is None else f"{step.pass_id} {keep:g}"

    def evaluate(self, variant: str, metric: str) -> Loss | None:
        self.now += 1
        points = sum(self.truth[self.key(step)][1] for step in self._recipes[variant].steps[1:])
        return Loss(points=points, low=points - 0.1, high=points + 0.1, metric="top1", title="Top-1")

    def measure(self, variant: str, seconds: float) -> RatioEstimate:
        self.now += 1
        self.measured.append(variant)
        ratio = 1.0
        for step in self._recipes[variant].steps[1:]:
            ratio *= self.truth[self.key(step)][0]
        verdict: Any = "faster" if ratio > 1.05 else "slower" if ratio < 0.95 else "no significant difference"
        return RatioEstimate(ratio=ratio, low=0.99 * ratio, high=1.01 * ratio, verdict=verdict, pairs=50)


RANK = MadeUp("structure.rank", "structure", 2.0, params=Shrinking)
DROP = MadeUp("structure.drop", "structure", 1.5)
INT8 = MadeUp("precision.int8", "precision", 1.8)
HALF = MadeUp("precision.half", "precision", 1.4)
TRUTH = {
    "structure.rank": (1.5, 0.3),
    "structure.rank 0.75": (1.2, 0.1),
    "structure.rank 0.25": (2.2, 4.0),
    "structure.drop": (1.3, 2.0),
    "precision.int8": (1.6, 0.2),
    "precision.half": (0.7, 0.0),
}


def run(machine: Machine, **more: Any) -> AutoResult:
    halt, told = more.pop("halt", None), more.pop("told", None)
    return search(machine, AutoOptions(**more), halt=halt, on_trial=told, clock=machine.clock)


def test_what_is_best_together_is_found() -> None:
    machine = Machine(RANK, DROP, INT8, HALF, truth=TRUTH)
    found = run(machine, budget=1.0)
    assert found.ended == "exhausted"
    assert found.best is not None
    assert found.best.parts == {"structure.rank": 1, "precision.int8": 0}
    assert [step.pass_id for step in found.best.recipe.steps] == ["graph.prepare", "structure.rank", "precision.int8"]
    assert found.best.speed is not None
    assert found.best.speed.ratio == pytest.approx(2.4)
    # Each lever alone comes first, the most hopeful of them first; the rest is led by what they gave.
    assert machine.applied[:4] == ["rank", "int8", "drop", "half"]
    assert len(machine.applied) == len(set(machine.applied)) <= 8
    assert not [name for name in machine.applied[4:] if "half" in name or "drop" in name]


@pytest.mark.parametrize(
    ("budget", "best"), [(0.0, "half"), (0.15, "rank keep=0.75"), (0.35, "rank keep=0.75 + int8"), (10.0, "all")]
)
def test_the_budget_decides(budget: float, best: str) -> None:
    found = run(Machine(RANK, DROP, INT8, HALF, truth=TRUTH), budget=budget)
    if best == "half":
        assert found.best is None
        assert "keep the baseline" in found.choice.reason
    elif best == "all":
        assert found.best is not None
        assert found.best.parts == {"structure.rank": 2, "structure.drop": 0, "precision.int8": 0}
    else:
        assert found.choice.name == best
    assert all(trial.inside == (trial.loss.points <= budget) for trial in found.trials if trial.loss is not None)


def test_the_front_is_told_while_it_grows() -> None:
    told: list[AutoResult] = []
    found = run(Machine(RANK, DROP, INT8, truth=TRUTH), budget=1.0, told=told.append)
    assert told[-1] == found
    assert [item.trying for item in told if item.trying][:2] == ["surveying the passes", "rank"]
    for item in told:
        known = {trial.name: trial for trial in item.trials}
        losses = [known[name].loss.points for name in item.front]  # type: ignore[union-attr]
        ratios = [known[name].speed.ratio for name in item.front]  # type: ignore[union-attr]
        assert losses == sorted(losses)
        assert ratios == sorted(ratios)


def test_a_recipe_that_fails_says_why_and_the_search_goes_on() -> None:
    truth = {name: value for name, value in TRUTH.items() if not name.startswith("structure.rank")}
    found = run(Machine(RANK, INT8, truth=truth))
    failed = found.trials[0]
    assert (failed.state, failed.why) == ("failed", "structure.rank does not work. Leave it out.")
    assert [trial.name for trial in found.trials] == ["rank", "int8"]
    assert found.choice.name == "int8"


def test_far_outside_the_budget_is_not_measured() -> None:
    machine = Machine(INT8, truth={"precision.int8": (5.0, 60.0)})
    found = run(machine)
    assert machine.measured == []
    assert found.trials[0].state == "unmeasured"
    assert found.best is None


def test_an_order_that_is_refused_is_turned_round_or_left_out() -> None:
    late = MadeUp("structure.late", "structure", 1.7, behind="not after quantization")
    found = run(Machine(INT8, late, truth={"precision.int8": (1.6, 0.1), "structure.late": (1.5, 0.1)}))
    assert found.best is not None
    assert [step.pass_id for step in found.best.recipe.steps][1:] == ["structure.late", "precision.int8"]


def test_a_slow_lever_does_not_take_the_time_of_the_others() -> None:
    machine = Machine(RANK, INT8, DROP, truth=TRUTH, slow=["rank"])
    found = run(machine, budget=3.0, time_limit=300)
    assert machine.applied[0] == "rank"
    assert found.choice.name == "drop + int8"
    # It is gone on with at the end, with all the time that is left, and that was not enough.
    assert machine.applied.count("rank") == 2
    assert machine.applied[-1] == "rank"
    assert found.ended == "time"


def test_a_lever_that_was_postponed_is_finished_when_there_is_time() -> None:
    machine = Machine(RANK, INT8, truth=TRUTH, slow=["rank"])
    told: list[AutoResult] = []
    found = run(machine, time_limit=1900, told=told.append)
    assert any(trial.why == LATER for item in told for trial in item.trials)
    assert found.choice.name == "rank + int8"
    assert sum(trial.name == "rank" for trial in found.trials) == 1


def test_stopping_keeps_the_best_so_far() -> None:
    halt = Halt()
    machine = Machine(RANK, INT8, DROP, truth=TRUTH)

    def during(name: str) -> None:
        if name == "int8":
            halt.ask()
            raise Cancelled

    machine.during = during
    found = run(machine, halt=halt)
    assert found.ended == "asked"
    assert [(trial.name, trial.why) for trial in found.trials] == [("rank", ""), ("int8", STOPPED)]
    assert found.choice.name == "rank"


def test_one_trial_that_was_cancelled_does_not_end_the_search() -> None:
    machine = Machine(RANK, INT8, truth=TRUTH)

    def during(name: str) -> None:
        if name == "rank":
            raise Cancelled

    machine.during = during
    found = run(machine)
    assert found.ended == "exhausted"
    assert [trial.why for trial in found.trials] == [STOPPED, ""]


def test_the_time_limit_ends_it() -> None:
    found = run(Machine(RANK, DROP, INT8, HALF, truth=TRUTH), time_limit=5)
    assert found.ended == "time"
    assert len(found.trials) == 2


def test_nothing_to_try_keeps_the_baseline() -> None:
    found = run(Machine(truth={}))
    assert (found.trials, found.best, found.ended) == ((), None, "exhausted")
    assert "keep the baseline" in found.choice.reason


@pytest.fixture
def session(work: Workbench) -> Iterator[Session]:
    made = Session(work)
    yield made
    made.close()


def test_the_sample_with_real_workers(session: Session) -> None:
    open_sample(session)
    halt, told = Halt(), []

    def tell(result: AutoResult) -> None:
        told.append(result)
        if len(result.trials) == 1:
            halt.ask()

    # One lever is enough here: what a setting gains is the business of the tests of each pass.
    options = AutoOptions(seconds=0.3, time_limit=300)
    only = "quantize.dynamic"
    registry = session.work.registry
    passes = [item for item in registry.passes() if item.id in ("graph.clean", "graph.fold-batchnorm", only)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "passes", lambda: tuple(passes))
        found = optimize_for_me(session, options, "onnxruntime:CPU", halt=halt, on_trial=tell)
    assert found.ended == "asked"
    (trial,) = found.trials
    assert trial.name == "dynamic"
    assert trial.loss is not None
    assert (trial.loss.metric, trial.loss.synthetic) == ("top1", False)
    assert trial.speed is not None
    assert trial.speed.pairs > 5
    made = session.project.variant(trial.variant)
    assert made.name == "dynamic"
    steps = [step.pass_id for step in session.project.recipe_of(made.id).steps]
    assert steps == ["graph.clean", "graph.fold-batchnorm", only]
    assert {item.model_sha256 for item in session.measurements} == {session.project.baseline.model, made.model}
    assert {item.model_sha256 for item in session.evaluations} == {session.project.baseline.model, made.model}
