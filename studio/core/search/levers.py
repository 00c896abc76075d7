"""Levers: passes that may make a model faster here, each with settings from gentle to strong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studio.core.frozen import Frozen
from studio.core.params import describe
from studio.core.passes import Pass, Range, Survey
from studio.core.recipe import Step

#: families of which a recipe may hold several levers, and of which only one
STACKED, SINGLE = "structure", "precision"
#: a lever that promises less than this is not tried
HOPE = 1.05
#: how far an expectation leans towards the upper end of its range: what is tried is measured anyway
OPTIMISM = 0.75


class Setting(Frozen):
    """One strength of a lever: its step, what to call it, and the speed to expect of it."""

    step: Step
    label: str
    expected: Range

    @property
    def hoped(self) -> float:
        """Give the ratio that the search reckons with before anything is measured."""
        low, high = max(self.expected.low, 1e-3), max(self.expected.high, 1e-3)
        return float(low ** (1 - OPTIMISM) * high**OPTIMISM)


class Lever(Frozen):
    """A pass that may make the model faster, with its settings from gentle to strong.

    `start` is the index of the setting that is tried first: the pass's own defaults where they are among them.
    """

    pass_id: str
    family: str
    settings: tuple[Setting, ...]
    start: int = 0

    @property
    def hoped(self) -> float:
        """Give what the first setting is hoped to gain."""
        return self.settings[self.start].hoped


def preparation(passes: Iterable[Pass], surveys: Mapping[str, Survey]) -> tuple[Step, ...]:
    """Give the steps that belong before every lever: passes that prepare a model and have something to do."""
    return tuple(
        Step(pass_id=the_pass.id, version=the_pass.version)
        for the_pass in passes
        if the_pass.prepares and the_pass.id in surveys and surveys[the_pass.id].applies
    )


def hopeful(passes: Iterable[Pass], surveys: Mapping[str, Survey]) -> tuple[Pass, ...]:
    """Give the passes that approximate, apply, and may gain speed here, the most hopeful first."""
    found = []
    for the_pass in passes:
        survey = surveys.get(the_pass.id)
        if the_pass.family not in (STACKED, SINGLE) or the_pass.changes_interface or survey is None:
            continue
        if survey.applies and survey.speed is not None:
            hoped = Setting(step=Step(pass_id=the_pass.id), label="", expected=survey.speed).hoped
            if hoped >= HOPE:
                found.append((hoped, the_pass))
    return tuple(the_pass for _, the_pass in sorted(found, key=lambda item: -item[0]))


def strengths(the_pass: Pass) -> tuple[Step, ...]:
    """Give a step for each candidate of the first numeric parameter that has several; else one with the defaults."""
    for spec in describe(the_pass.Params):
        values = [value for value in spec.candidates if isinstance(value, (int, float)) and not isinstance(value, bool)]
        if spec.kind == "float" and len(values) > 1:
            wanted = dict.fromkeys([*values, spec.default])
            return tuple(_step(the_pass, {} if value == spec.default else {spec.name: value}) for value in wanted)
    return (_step(the_pass, {}),)


def make_lever(the_pass: Pass, surveyed: Sequence[tuple[Step, Survey]]) -> Lever | None:
    """Join the settings of a pass with what their surveys expect; None when none of them applies.

    Settings of which the same is expected are one: the defaults where they are among them, else the first.
    """
    settings: list[Setting] = []
    for step, survey in sorted(surveyed, key=lambda item: bool(item[0].params)):
        if not survey.applies or survey.speed is None:
            continue
        if any(
            (known.expected.low, known.expected.high) == (survey.speed.low, survey.speed.high) for known in settings
        ):
            continue
        settings.append(Setting(step=step, label=_label(the_pass, step.params), expected=survey.speed))
    if not settings:
        return None
    ordered = sorted(settings, key=lambda setting: setting.hoped)
    start = next((at for at, setting in enumerate(ordered) if not setting.step.params), len(ordered) // 2)
    return Lever(pass_id=the_pass.id, family=the_pass.family, settings=tuple(ordered), start=start)


def _step(the_pass: Pass, params: dict[str, Any]) -> Step:
    return Step(pass_id=the_pass.id, version=the_pass.version, params=params)


def _label(the_pass: Pass, params: Mapping[str, Any]) -> str:
    """Write a setting shortly: ``"low-rank keep=0.35"``; the defaults have the pass's name alone."""
    short = the_pass.id.partition(".")[2] or the_pass.id
    return " ".join((short, *(f"{name}={value:g}" for name, value in params.items())))
