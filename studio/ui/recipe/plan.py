"""Edits of a recipe with at most one step of each pass, as the panel shows it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from studio.core.params import describe
from studio.core.passes import Pass, Survey
from studio.core.recipe import Recipe, Step, add_step, remove_step, replace_step

GetPass = Callable[[str], Pass]


def position(recipe: Recipe, pass_id: str) -> int | None:
    """Find a pass's step; None when the recipe has none that is switched on."""
    return next((at for at, step in enumerate(recipe.steps) if step.pass_id == pass_id and step.enabled), None)


def switch(recipe: Recipe, the_pass: Pass, on: bool, params: Mapping[str, Any], get_pass: GetPass) -> Recipe:
    """Switch a pass on at the last place where the order is legal, or off."""
    at = position(recipe, the_pass.id)
    if not on:
        return recipe if at is None else remove_step(recipe, at)
    if at is not None:
        return recipe
    step = Step(pass_id=the_pass.id, version=the_pass.version, params=dict(params))
    places = range(len(recipe.steps), -1, -1)
    candidates = [add_step(recipe, step, place) for place in places]
    return next((made for made in candidates if not refusals(made, get_pass)), candidates[0])


def set_params(recipe: Recipe, pass_id: str, params: Mapping[str, Any]) -> Recipe:
    """Give the pass's step other parameters."""
    at = position(recipe, pass_id)
    if at is None:
        return recipe
    return replace_step(recipe, at, recipe.steps[at].model_copy(update={"params": dict(params)}))


def reorder(recipe: Recipe, order: Iterable[str]) -> Recipe:
    """Bring the steps that are switched on into this order of pass ids; the others go last."""
    ranks = {pass_id: rank for rank, pass_id in enumerate(order)}
    steps = sorted(recipe.steps, key=lambda step: ranks.get(step.pass_id, len(ranks)))
    return recipe.model_copy(update={"steps": tuple(steps)})


def refusals(recipe: Recipe, get_pass: GetPass, earlier: tuple[Step, ...] = ()) -> dict[str, str]:
    """Say of each step that may not stand where it is why; `earlier` are the steps of the start variant."""
    found = {}
    before = earlier
    for step in recipe.active:
        reason = get_pass(step.pass_id).refuses(before)
        if reason:
            found[step.pass_id] = reason
        before = (*before, step)
    return found


def suggest(passes: Iterable[Pass], surveys: Mapping[str, Survey], get_pass: GetPass) -> Recipe:
    """Make a first recipe: every pass that keeps outputs exactly and has something to do."""
    recipe = Recipe()
    for the_pass in passes:
        survey = surveys.get(the_pass.id)
        if the_pass.exact and survey is not None and survey.applies:
            recipe = switch(recipe, the_pass, True, {}, get_pass)
    return recipe


def command_line(recipe: Recipe, source: str, calibration: str = "", evaluation: str = "") -> str:
    """Write the recipe as a command."""
    parts = ["burnish", "optimize", source, "-o", "optimized.onnx"]
    for step in recipe.active:
        parts += ["--step", step_text(step)]
    if calibration:
        parts += ["--data", calibration]
    if evaluation:
        parts += ["--eval", evaluation]
    return shlex.join(parts)


def without_defaults(recipe: Recipe, get_pass: GetPass) -> Recipe:
    """Leave out the values that are the passes' own."""
    return recipe.model_copy(update={"steps": tuple(_brief(step, get_pass(step.pass_id)) for step in recipe.steps)})


def _brief(step: Step, the_pass: Pass) -> Step:
    defaults = {spec.name: _plain(spec.default) for spec in describe(the_pass.Params)}
    params = {name: value for name, value in step.params.items() if name not in defaults or value != defaults[name]}
    return step.model_copy(update={"params": params})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def step_text(step: Step) -> str:
    """Write a step as ``--step`` takes it: ``ID:key=value,key=a|b``."""
    pairs = [f"{name}={_value(value)}" for name, value in step.params.items()]
    pairs += [f"scope.{name}={'|'.join(value)}" for name, value in step.scope.model_dump().items() if value]
    return step.pass_id + (f":{','.join(pairs)}" if pairs else "")


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "|".join(str(item) for item in value)
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
