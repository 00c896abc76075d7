"""What to try next: the most speed for a loss that fits, by what was measured so far."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from studio.core.passes import Pass
from studio.core.recipe import Recipe, Step
from studio.core.search.levers import SINGLE, Lever, Setting
from studio.core.search.trial import Trial

#: levers in one recipe at most
MOST_PARTS = 3
#: a trial that is expected to beat the best by less than this is not worth its time
WORTH = 1.03

GetPass = Callable[[str], Pass]


@dataclass(frozen=True)
class Candidate:
    """A recipe to try: a setting of one or more levers."""

    name: str
    parts: dict[str, int]
    recipe: Recipe
    #: the speed and the loss in points that are predicted
    speed: float
    loss: float


class Plan:
    """Chooses what to try next. It holds no state: what was tried is told at each question.

    Each lever is first tried alone, the most hopeful first. From what it gave, its other settings and its
    combinations are predicted: speeds multiply, losses add.

    Parameters
    ----------
    steps
        The steps that come before every lever.
    levers
        The most hopeful first.
    budget
        Points that may be lost.
    get_pass
        Finds a pass, to ask whether an order is legal.
    """

    def __init__(self, steps: Sequence[Step], levers: Sequence[Lever], budget: float, get_pass: GetPass) -> None:
        self.steps = tuple(steps)
        self.levers = {lever.pass_id: lever for lever in levers}
        self.budget = budget
        self._get_pass = get_pass

    def propose(self, trials: Sequence[Trial]) -> Candidate | None:
        """Give the most promising recipe that was not tried; None when nothing is expected to gain."""
        best = max((trial.speed.ratio for trial in trials if trial.inside and trial.speed is not None), default=1.0)
        tried = {_key(trial.parts) for trial in trials}
        failed = [trial.parts for trial in trials if trial.state == "failed"]
        found: list[tuple[bool, float, dict[str, int], float, tuple[Step, ...]]] = []
        for parts in self._combinations():
            if _key(parts) in tried or any(part.items() <= parts.items() for part in failed):
                continue
            known = self._known(parts, trials)
            if not known and (len(parts) > 1 or parts != self._start(*parts)):
                continue
            speed, loss = self._predict(parts, trials)
            if loss > self.budget or (known and speed < WORTH * best):
                continue
            steps = self._legal(parts)
            if steps:
                found.append((known, speed, parts, loss, steps))
        if not found:
            return None
        _, speed, parts, loss, steps = max(found, key=lambda item: (not item[0], item[1]))
        ordered = [step.pass_id for step in steps if step.pass_id in parts]
        name = " + ".join(self._setting(pass_id, parts[pass_id]).label for pass_id in ordered)
        return Candidate(name, parts, Recipe(name=name, steps=steps), speed, loss)

    def _combinations(self) -> Iterator[dict[str, int]]:
        for count in range(1, MOST_PARTS + 1):
            for levers in itertools.combinations(self.levers.values(), count):
                if sum(lever.family == SINGLE for lever in levers) > 1:
                    continue
                for places in itertools.product(*(range(len(lever.settings)) for lever in levers)):
                    yield {lever.pass_id: place for lever, place in zip(levers, places, strict=True)}

    def _start(self, pass_id: str) -> dict[str, int]:
        return {pass_id: self.levers[pass_id].start}

    def _known(self, parts: Mapping[str, int], trials: Sequence[Trial]) -> bool:
        """Say whether each lever was tried alone, at whatever setting."""
        alone = {next(iter(trial.parts)) for trial in trials if len(trial.parts) == 1 and trial.loss is not None}
        return parts.keys() <= alone

    def _predict(self, parts: Mapping[str, int], trials: Sequence[Trial]) -> tuple[float, float]:
        """Give speed and loss: of the largest part that was measured together, and of the rest each alone."""
        inside = [trial for trial in trials if trial.loss is not None and trial.parts.items() <= parts.items()]
        largest = max(inside, key=lambda trial: len(trial.parts), default=None)
        speed, loss, rest = 1.0, 0.0, dict(parts)
        if largest is not None and largest.loss is not None and len(largest.parts) > 1:
            speed, loss = _ratio(largest, 1.0), largest.loss.points
            rest = {name: at for name, at in parts.items() if name not in largest.parts}
        for pass_id, at in rest.items():
            gain, cost = self._alone(pass_id, at, trials)
            speed, loss = speed * gain, loss + cost
        return speed, loss

    def _alone(self, pass_id: str, at: int, trials: Sequence[Trial]) -> tuple[float, float]:
        """Give speed and loss of one setting: measured, or by the measured setting next to it, or as hoped."""
        setting = self._setting(pass_id, at)
        measured = {
            trial.parts[pass_id]: trial
            for trial in trials
            if trial.parts.keys() == {pass_id} and trial.loss is not None
        }
        if not measured:
            return setting.hoped, 0.0
        near = min(measured, key=lambda place: abs(place - at))
        trial = measured[near]
        assert trial.loss is not None
        hoped = self._setting(pass_id, near).hoped
        if near == at:
            return _ratio(trial, hoped), max(0.0, trial.loss.points)
        speed = _ratio(trial, hoped) * setting.hoped / hoped
        # What is lost grows faster than what is gained: it is taken as the cube of the time that is saved.
        saved = (1 - 1 / max(setting.hoped, 1.001)) / max(1 - 1 / max(hoped, 1.001), 1e-3)
        return speed, max(0.0, trial.loss.points) * saved**3

    def _setting(self, pass_id: str, at: int) -> Setting:
        return self.levers[pass_id].settings[at]

    def _legal(self, parts: Mapping[str, int]) -> tuple[Step, ...]:
        """Give the steps in an order that no pass refuses; empty when there is none."""
        chosen = sorted(parts.items(), key=lambda item: self.levers[item[0]].family == SINGLE)
        for order in itertools.permutations(self._setting(*part).step for part in chosen):
            steps = (*self.steps, *order)
            if not any(self._get_pass(step.pass_id).refuses(steps[:at]) for at, step in enumerate(steps)):
                return steps
        return ()


def _ratio(trial: Trial, otherwise: float) -> float:
    return trial.speed.ratio if trial.speed is not None else otherwise


def _key(parts: Mapping[str, int]) -> frozenset[tuple[str, int]]:
    return frozenset(parts.items())
