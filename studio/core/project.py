"""The project: the frozen document that the window and the command line edit."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from studio.core.errors import UsageError, nearest
from studio.core.frozen import Frozen
from studio.core.passes import NodeChange
from studio.core.recipe import Recipe, Step
from studio.core.verification import Verification

SCHEMA = 2
BASELINE = "baseline"
#: colours that a variant can have: those of the charts
COLORS = 8


class Variant(Frozen):
    """A model of the project: the baseline, or what one step made of its parent.

    Attributes
    ----------
    id
        ``"baseline"``, else made from the parent and the step, so that a repeated step gives the same id.
    model
        sha256 of its artifact, which lies in the project's blobs.
    provenance
        Name of each node to the names of the source model's (the baseline's) nodes it came from.
    """

    id: str
    name: str
    parent: str | None = None
    step: Step | None = None
    model: str
    bytes: int
    nodes: int
    provenance: dict[str, tuple[str, ...]] = {}
    changes: tuple[NodeChange, ...] = ()
    warnings: tuple[str, ...] = ()
    verification: Verification | None = None
    seconds: float = 0.0
    notes: str = ""
    #: index of a colour in the theme's series; None for none
    color: int | None = Field(default=None, ge=0, lt=COLORS)
    #: the variant that this one was duplicated from, to be renamed and annotated by itself
    copy_of: str = ""


class FailedStep(Frozen):
    """A step that could not be applied: a row of the tree, with its reason, until it is dismissed.

    Attributes
    ----------
    parent
        Id of the variant that it was applied to; the row goes with it.
    rest
        The steps that would have followed.
    """

    id: str
    parent: str
    name: str
    step: Step
    rest: tuple[Step, ...] = ()
    message: str
    hint: str = ""
    at: str = ""


class Settings(Frozen):
    """What the project remembers besides its models."""

    device: str = ""
    calibration: str = ""
    evaluation: str = ""
    #: how data is read, as on a command line: ``--preprocess``, ``--read`` and ``--split``
    preprocess: str = ""
    read: str = ""
    split: str = ""
    metric: str = ""
    theme: Literal["system", "light", "dark"] = "system"


class Project(Frozen):
    """One project: its source, variants (baseline first, parents before children), recipe and settings."""

    schema_version: int = SCHEMA
    name: str
    source_name: str
    source_path: str = ""
    created_at: str
    variants: tuple[Variant, ...]
    recipe: Recipe = Recipe()
    settings: Settings = Settings()
    failed: tuple[FailedStep, ...] = ()

    @model_validator(mode="after")
    def _is_a_tree(self) -> Self:
        """Refuse what a save never wrote: no baseline, a name twice, a child before its parent."""
        known: set[str] = set()
        for index, variant in enumerate(self.variants):
            if variant.id in known or (variant.parent not in known if index else variant.parent is not None):
                raise ValueError(f"the variant {variant.id!r} is out of place")
            known.add(variant.id)
        if not known:
            raise ValueError("there is no baseline")
        return self

    @property
    def baseline(self) -> Variant:
        """The model that everything is compared with."""
        return self.variants[0]

    def variant(self, name: str) -> Variant:
        """Find a variant by id or name.

        Raises
        ------
        UsageError
            When there is none.
        """
        for key in ("id", "name"):
            for variant in self.variants:
                if getattr(variant, key) == name:
                    return variant
        raise UsageError(f"There is no variant {name!r}.", nearest(name, [variant.name for variant in self.variants]))

    def children(self, variant: str) -> tuple[Variant, ...]:
        """List the variants made from this one."""
        return tuple(child for child in self.variants if child.parent == variant)

    def lineage(self, name: str) -> tuple[Variant, ...]:
        """List the variants from the baseline to this one, both included."""
        chain = [self.variant(name)]
        while chain[0].parent is not None:
            chain.insert(0, self.variant(chain[0].parent))
        return tuple(chain)

    def recipe_of(self, name: str) -> Recipe:
        """Give the steps that made a variant from the baseline."""
        chain = self.lineage(name)
        return Recipe(name=chain[-1].name, steps=tuple(variant.step for variant in chain if variant.step is not None))


def add_variant(project: Project, variant: Variant) -> Project:
    """Give the project with a variant added, or replaced where the id is known."""
    kept = tuple(variant if known.id == variant.id else known for known in project.variants)
    if all(known.id != variant.id for known in project.variants):
        kept = (*kept, variant)
    return project.model_copy(update={"variants": kept})


def remove_variant(project: Project, name: str) -> Project:
    """Give the project without a variant and everything made from it.

    Raises
    ------
    UsageError
        When it is the baseline or does not exist.
    """
    gone = project.variant(name).id
    if gone == project.baseline.id:
        raise UsageError("The baseline cannot be removed.", "Open another model instead.")
    lost = {gone}
    for variant in project.variants:
        if variant.parent in lost:
            lost.add(variant.id)
    return project.model_copy(
        update={
            "variants": tuple(v for v in project.variants if v.id not in lost),
            "failed": tuple(row for row in project.failed if row.parent not in lost),
        }
    )


def duplicate_variant(project: Project, name: str) -> Project:
    """Give the project with a second row for a variant's model, made of the same step, with its own name and notes.

    Raises
    ------
    UsageError
        When it is the baseline or does not exist.
    """
    variant = project.variant(name)
    if variant.id == project.baseline.id:
        raise UsageError("The baseline cannot be duplicated.", "Apply a recipe to it instead.")
    ids = {other.id for other in project.variants}
    names = {other.name for other in project.variants}
    source = variant.copy_of or variant.id
    made = next(text for number in range(2, len(ids) + 3) if (text := f"{source}-{number}") not in ids)
    label = next(
        text
        for number in range(1, len(names) + 2)
        if (text := f"{variant.name} copy{f' {number}' if number > 1 else ''}") not in names
    )
    return add_variant(project, variant.model_copy(update={"id": made, "name": label, "copy_of": source}))


def annotate_variant(project: Project, name: str, *, notes: str | None = None, color: int | None = -1) -> Project:
    """Give the project with a variant's notes or colour changed; what is not given stays.

    Raises
    ------
    UsageError
        When there is no such variant or colour.
    """
    variant = project.variant(name)
    found: dict[str, object] = {} if notes is None else {"notes": notes.strip()}
    if color != -1:
        if color is not None and not 0 <= color < COLORS:
            raise UsageError(f"There is no colour {color}.", f"Colours are counted from 0 to {COLORS - 1}.")
        found["color"] = color
    return add_variant(project, variant.model_copy(update=found))


def add_failure(project: Project, failure: FailedStep) -> Project:
    """Give the project with a failed step as a row; the same step on the same parent has one row."""
    kept = tuple(row for row in project.failed if row.id != failure.id)
    return project.model_copy(update={"failed": (*kept, failure)})


def dismiss_failure(project: Project, failure: str) -> Project:
    """Give the project without the row of a failed step; one that is not there is no error."""
    return project.model_copy(update={"failed": tuple(row for row in project.failed if row.id != failure)})


def rename_variant(project: Project, name: str, to: str) -> Project:
    """Give the project with a variant renamed.

    Raises
    ------
    UsageError
        When the new name is empty or taken.
    """
    variant = project.variant(name)
    text = to.strip()
    taken = {text for other in project.variants if other.id != variant.id for text in (other.id, other.name)}
    if not text or text in taken:
        raise UsageError(f"A variant cannot be named {to!r}.", "Choose a name that no other variant has.")
    return add_variant(project, variant.model_copy(update={"name": text}))


def with_recipe(project: Project, recipe: Recipe) -> Project:
    """Give the project with another recipe being edited."""
    return project.model_copy(update={"recipe": recipe})


def with_settings(project: Project, **changes: str) -> Project:
    """Give the project with some settings changed.

    Raises
    ------
    UsageError
        For an unknown setting or a value that it cannot have.
    """
    try:
        settings = Settings.model_validate({**project.settings.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        hint = "" if name in Settings.model_fields else nearest(name, Settings.model_fields)
        raise UsageError(f"The setting {name} cannot be {first['input']!r}.", hint or f"{first['msg']}.") from None
    return project.model_copy(update={"settings": settings})
