"""Recipes: ordered steps, in TOML, with stable digests."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from studio.core.errors import UsageError
from studio.core.frozen import Frozen, digest
from studio.core.scope import Scope

FORMAT = 1


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
    steps: tuple[Step, ...] = ()

    @property
    def active(self) -> tuple[Step, ...]:
        """The steps that are switched on."""
        return tuple(step for step in self.steps if step.enabled)

    def digest(self) -> str:
        """Name what the recipe does; its name, notes and disabled steps do not count."""
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
    try:
        return Recipe(name=table.pop("name", ""), notes=table.pop("notes", ""), steps=table.pop("step", ()), **table)
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
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The recipe {path} cannot be read: {error}.", "Check the path.") from None
    return parse_recipe(text, source=path.name)


def recipe_toml(recipe: Recipe) -> str:
    """Write a recipe as TOML; reading it gives an equal recipe."""
    import tomli_w

    table: dict[str, Any] = {"format": FORMAT, "name": recipe.name}
    if recipe.notes:
        table["notes"] = recipe.notes
    table["step"] = [_step_table(step) for step in recipe.steps]
    return tomli_w.dumps(table)


def _step_table(step: Step) -> dict[str, Any]:
    table: dict[str, Any] = {"pass": step.pass_id, "version": step.version}
    if not step.enabled:
        table["enabled"] = False
    params = {name: value for name, value in step.params.items() if value is not None}
    if params:
        table["params"] = params
    if not step.scope.everything:
        table["scope"] = {name: list(value) for name, value in step.scope.model_dump().items() if value}
    return table


def replace_step(recipe: Recipe, index: int, step: Step) -> Recipe:
    """Give the recipe with one step replaced."""
    return _with(recipe, (*recipe.steps[:index], step, *recipe.steps[index + 1 :]))


def add_step(recipe: Recipe, step: Step, index: int | None = None) -> Recipe:
    """Give the recipe with a step inserted; at the end by default."""
    at = len(recipe.steps) if index is None else index
    return _with(recipe, (*recipe.steps[:at], step, *recipe.steps[at:]))


def remove_step(recipe: Recipe, index: int) -> Recipe:
    """Give the recipe without one step."""
    return _with(recipe, (*recipe.steps[:index], *recipe.steps[index + 1 :]))


def move_step(recipe: Recipe, index: int, to: int) -> Recipe:
    """Give the recipe with one step moved so that it stands at index `to`."""
    return add_step(remove_step(recipe, index), recipe.steps[index], to)


def _with(recipe: Recipe, steps: Iterable[Step]) -> Recipe:
    return recipe.model_copy(update={"steps": tuple(steps)})
