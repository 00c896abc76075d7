"""Recipes: ordered steps, in TOML, with stable digests."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from studio.core.errors import UsageError
from studio.core.frozen import Frozen, digest
from studio.core.scope import Scope

FORMAT = 1


def _plain(value: Any) -> Any:
    """Check a parameter's value; sequences become lists, enumeration members their text or number."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("numbers must be finite")
    for kind in (bool, str, int, float):
        if isinstance(value, kind):
            return value if kind is bool else kind(value)
    if value is None:
        return None
    raise ValueError(f"a parameter cannot be of type {type(value).__name__}")


class Step(Frozen):
    """One pass with its parameters and the nodes it may touch.

    `params` holds plain values; a step that was resolved against its pass holds all of them, so that
    a changed default does not change what a recorded recipe means.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    pass_id: str = Field(alias="pass")
    version: int = 1
    params: dict[str, Any] = {}
    scope: Scope = Scope()
    enabled: bool = True

    @field_validator("params", mode="after")
    @classmethod
    def _plain_params(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Bring values to what TOML and JSON give back, so that a recipe that was read equals the one written."""
        return {name: _plain(value) for name, value in values.items()}

    def digest(self) -> str:
        """Name what the step does: sha256 over pass, version, parameters and scope."""
        return digest(
            {
                "pass": self.pass_id,
                "version": self.version,
                "params": self.params,
                "scope": self.scope.model_dump(mode="json"),
            }
        )


class Recipe(Frozen):
    """Steps in the order in which they are applied."""

    name: str = ""
    notes: str = ""
    #: how the pictures that it calibrates on are prepared, as `parse_preprocessing` reads it
    preprocess: str = ""
    steps: tuple[Step, ...] = ()

    @property
    def active(self) -> tuple[Step, ...]:
        """The steps that are switched on."""
        return tuple(step for step in self.steps if step.enabled)

    def digest(self) -> str:
        """Name what the recipe does; its name, notes, preprocessing and disabled steps do not count."""
        return digest([step.digest() for step in self.active])


def parse_recipe(text: str, *, source: str = "the recipe") -> Recipe:
    """Read a recipe from TOML.

    Raises
    ------
    UsageError
        When it is not TOML, or not a recipe.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not valid TOML: {error}.", "Mend the line it names.") from None
    version = table.pop("format", FORMAT)
    if version != FORMAT:
        raise UsageError(f"{source} has format {version!r}; this Burnish reads {FORMAT}.", "Update Burnish.")
    if "steps" in table:
        raise UsageError(f"{source} has a key 'steps'.", "Write each step as a [[step]] table.")
    steps = table.pop("step", [])
    try:
        return Recipe.model_validate({**table, "steps": _read_steps(steps)})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{source} is not a recipe: {where}: {str(first['msg']).lower()}.",
            "A recipe has [[step]] tables with 'pass' and optional 'params' and 'scope'.",
        ) from None


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises
    ------
    UsageError
        When it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The recipe {path} cannot be read: {error.strerror}.", "Check the path.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The recipe {path} cannot be read: it is not text.", "Give a TOML file in UTF-8.") from None
    return parse_recipe(text, source=path.name)


def _read_steps(steps: Any) -> Any:
    """Give parameters that are listed as unset their None, which TOML cannot write; the rest is left to validation."""
    return [_read_step(step) for step in steps] if isinstance(steps, list) else steps


def _read_step(step: Any) -> Any:
    unset, params = (step.get("unset"), step.get("params", {})) if isinstance(step, dict) else (None, None)
    if not isinstance(unset, list) or not isinstance(params, dict):
        return step
    rest = {name: value for name, value in step.items() if name != "unset"}
    return {**rest, "params": {**{str(name): None for name in unset}, **params}}


def recipe_toml(recipe: Recipe) -> str:
    """Write a recipe as TOML; reading it gives an equal recipe."""
    import tomli_w

    table: dict[str, Any] = {"format": FORMAT, "name": recipe.name}
    if recipe.notes:
        table["notes"] = recipe.notes
    if recipe.preprocess:
        table["preprocess"] = recipe.preprocess
    table["step"] = [_step_table(step) for step in recipe.steps]
    return tomli_w.dumps(table)


def _step_table(step: Step) -> dict[str, Any]:
    table: dict[str, Any] = {"pass": step.pass_id, "version": step.version}
    if not step.enabled:
        table["enabled"] = False
    params = {name: value for name, value in step.params.items() if value is not None}
    unset = [name for name, value in step.params.items() if value is None]
    if params:
        table["params"] = params
    if unset:
        table["unset"] = unset
    if not step.scope.everything:
        table["scope"] = {name: list(value) for name, value in step.scope.model_dump().items() if value}
    return table


def parse_step(text: str) -> Step:
    """Read a step as a command line has it: ``ID[:k=v,k=v]``.

    Keys of the scope are ``scope.names``, ``scope.operators``, ``scope.patterns``, ``scope.exclude``.

    Lists are joined by ``|``, as in ``quantize.static:method=entropy,scope.operators=Conv|Gemm``.

    Raises
    ------
    UsageError
        When it is not of that form.
    """
    pass_id, _, rest = text.partition(":")
    params: dict[str, Any] = {}
    scope: dict[str, tuple[str, ...]] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--step {text!r}: {part!r} is not KEY=VALUE.", "Write --step ID:key=value,key=value.")
        if key.startswith("scope."):
            scope[key.removeprefix("scope.").strip()] = tuple(value.split("|"))
        else:
            params[key.strip()] = value.strip()
    unknown = set(scope) - set(Scope.model_fields)
    if unknown:
        known = ", ".join(f"scope.{name}" for name in Scope.model_fields)
        raise UsageError(f"--step {text!r}: there is no scope.{unknown.pop()}.", f"Known: {known}.")
    if not pass_id.strip():
        raise UsageError(f"--step {text!r} names no pass.", "'burnish passes' lists them.")
    return Step(pass_id=pass_id.strip(), params=params, scope=Scope(**scope))


def replace_step(recipe: Recipe, index: int, step: Step) -> Recipe:
    """Give the recipe with one step replaced.

    Raises
    ------
    UsageError
        When there is no step at that index.
    """
    _check_index(recipe, index)
    return _with(recipe, (*recipe.steps[:index], step, *recipe.steps[index + 1 :]))


def add_step(recipe: Recipe, step: Step, index: int | None = None) -> Recipe:
    """Give the recipe with a step inserted; at the end by default."""
    at = len(recipe.steps) if index is None else index
    return _with(recipe, (*recipe.steps[:at], step, *recipe.steps[at:]))


def remove_step(recipe: Recipe, index: int) -> Recipe:
    """Give the recipe without one step.

    Raises
    ------
    UsageError
        When there is no step at that index.
    """
    _check_index(recipe, index)
    return _with(recipe, (*recipe.steps[:index], *recipe.steps[index + 1 :]))


def move_step(recipe: Recipe, index: int, to: int) -> Recipe:
    """Give the recipe with one step moved so that it stands at index `to`."""
    return add_step(remove_step(recipe, index), recipe.steps[index], to)


def _check_index(recipe: Recipe, index: int) -> None:
    if not 0 <= index < len(recipe.steps):
        raise UsageError(f"There is no step {index}.", f"The recipe has {len(recipe.steps)} steps, counted from 0.")


def _with(recipe: Recipe, steps: Iterable[Step]) -> Recipe:
    return recipe.model_copy(update={"steps": tuple(steps)})
