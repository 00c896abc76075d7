"""What was tried, what came of it, and which of it is best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from studio.core.evaluation import Evaluation
from studio.core.frozen import Frozen
from studio.core.recipe import Recipe
from studio.core.statistics import RatioEstimate

State = Literal["measured", "unmeasured", "postponed", "failed"]


class Loss(Frozen):
    """What a variant loses, in points with a 95 % interval; negative is a gain.

    A point is a percentage point of the metric where that is a share, else one per cent of the baseline's value;
    without labels, a hundredth of the similarity to the baseline's outputs.
    """

    points: float
    low: float
    high: float
    metric: str
    #: the metric's title, for people
    title: str
    synthetic: bool = False


class Trial(Frozen):
    """One recipe that was tried.

    Attributes
    ----------
    name
        The candidate's, such as ``"low-rank + static"``.
    parts
        Which setting of which lever: pass id to index.
    variant
        Id of the variant that it made; empty when it failed before.
    why
        Why it failed or was not measured.
    """

    name: str
    parts: dict[str, int]
    recipe: Recipe
    state: State = "measured"
    variant: str = ""
    bytes: int = 0
    speed: RatioEstimate | None = None
    loss: Loss | None = None
    inside: bool = False
    why: str = ""
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether both speed and accuracy are known."""
        return self.speed is not None and self.loss is not None


class Choice(Frozen):
    """What is proposed: the trial's name (empty: stay with the baseline), and why."""

    name: str = ""
    reason: str


def loss_of(found: Sequence[Evaluation], wanted: str = "") -> Loss | None:
    """Give what the evaluation of a variant against the baseline says that it lost.

    Parameters
    ----------
    found
        Evaluations of the variant, those of the baseline left out.
    wanted
        Id of the metric that counts; the first where it is not among them.
    """
    chosen = next((item for item in found if item.metric == wanted), found[0] if found else None)
    if chosen is None:
        return None
    gap = chosen.difference
    if gap is None:
        # Compared with the baseline's outputs: 1 is the same.
        value = chosen.estimate
        ends = sorted((100 * (1 - value.low), 100 * (1 - value.high)))
        return _loss(chosen, 100 * (1 - value.value), ends)
    before = chosen.estimate.value - gap.value
    scale = 100.0 if chosen.unit == "fraction" else 100.0 / max(abs(before), 1e-12)
    sign = -scale if chosen.higher_is_better else scale
    # Nothing lost is 0.0, not -0.0.
    return _loss(chosen, sign * gap.value + 0.0, sorted((sign * gap.low, sign * gap.high)))


def _loss(item: Evaluation, points: float, ends: Sequence[float]) -> Loss:
    return Loss(
        points=points, low=ends[0], high=ends[1], metric=item.metric, title=item.title, synthetic=item.synthetic
    )


def pareto(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Give the complete trials that no other beats in speed and accuracy both; the most accurate first.

    The baseline (ratio 1, loss 0) is a rival too.
    """
    complete = [trial for trial in trials if trial.speed is not None and trial.loss is not None]
    points = [(trial, *_figures(trial)) for trial in complete]
    rivals = [(speed, loss) for _, speed, loss in points] + [(1.0, 0.0)]
    front = [
        (loss, -speed, trial)
        for trial, speed, loss in points
        if not any((other > speed and lost <= loss) or (other >= speed and lost < loss) for other, lost in rivals)
    ]
    return tuple(trial for _, _, trial in sorted(front, key=lambda item: item[:2]))


def _figures(trial: Trial) -> tuple[float, float]:
    assert trial.speed is not None
    assert trial.loss is not None
    return trial.speed.ratio, trial.loss.points


def choose(trials: Sequence[Trial], baseline_bytes: int) -> Choice:
    """Propose the fastest inside the budget; among those not measurably apart, the one that loses least.

    Where nothing is measurably faster, the smallest that is not slower.
    """
    inside = [trial for trial in trials if trial.inside and trial.complete]
    faster = [trial for trial in inside if trial.speed is not None and trial.speed.verdict == "faster"]
    if faster:
        fastest = max(faster, key=lambda trial: _figures(trial)[0])
        assert fastest.speed is not None
        floor = fastest.speed.low
        rivals = [trial for trial in faster if trial.speed is not None and trial.speed.high >= floor]
        best = min(rivals, key=lambda trial: (round(_figures(trial)[1], 9), trial.bytes, -_figures(trial)[0]))
        return Choice(name=best.name, reason="the fastest inside the budget" if best is fastest else _AS_FAST)
    even = [trial for trial in inside if trial.speed is not None and trial.speed.verdict != "slower"]
    small = [trial for trial in even if trial.bytes < 0.95 * baseline_bytes]
    if small:
        best = min(small, key=lambda trial: (trial.bytes, _figures(trial)[1]))
        return Choice(name=best.name, reason="nothing is measurably faster; this is the smallest that is not slower")
    return Choice(reason="nothing that was tried is faster or smaller inside the budget: keep the baseline")


_AS_FAST = "as fast as the fastest inside the budget, as far as can be measured, and it loses less"
