"""Leaving single layers in float: an edit of the recipe that made a variant."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable

from studio.core.errors import UsageError
from studio.core.project import BASELINE, Project
from studio.core.recipe import Recipe, Step


def kept_in_float(project: Project, variant: str, node: str, is_precision: Callable[[str], bool]) -> Recipe:
    """Give the recipe of a variant with one layer left out of every step that lowers precision.

    Where the recipe that is being edited has the same passes already, it is that one that is changed, so that
    several layers can be left out one after the other.

    Parameters
    ----------
    node
        Name of the layer in the baseline.
    is_precision
        Whether the pass of an id changes the precision.

    Raises
    ------
    UsageError
        When no step of the variant lowers precision.
    """
    chain = project.lineage(variant)
    names: dict[str, tuple[str, ...]] = {}
    for parent, made in itertools.pairwise(chain):
        if made.step is not None and is_precision(made.step.pass_id):
            origins = parent.provenance
            own = (node,) if parent.id == BASELINE else tuple(name for name, from_ in origins.items() if node in from_)
            names[made.step.pass_id] = own or (node,)
    if not names:
        raise UsageError(
            f"No step of {chain[-1].name} lowers the precision, so there is nothing to keep in float.",
            "Choose a variant that was quantized.",
        )
    edited = project.recipe
    present = {step.pass_id for step in edited.active}
    base = edited if set(names) <= present else project.recipe_of(variant)
    steps = tuple(_without(step, names[step.pass_id]) if step.pass_id in names else step for step in base.steps)
    return Recipe(notes=base.notes, preprocess=base.preprocess, steps=steps)


def _without(step: Step, nodes: tuple[str, ...]) -> Step:
    """Give the step with nodes excluded by name: signs that a pattern is made of count as themselves."""
    exclude = tuple(dict.fromkeys((*step.scope.exclude, *(glob.escape(name) for name in nodes))))
    return step.model_copy(update={"scope": step.scope.model_copy(update={"exclude": exclude})})
