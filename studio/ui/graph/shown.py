"""A model that a canvas shows: a variant of the project, or one from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from studio.core.artifact import Artifact
from studio.core.passes import NodeChange
from studio.core.project import BASELINE
from studio.session import Session


@dataclass(frozen=True)
class Shown:
    """A model with what the project knows of it.

    Attributes
    ----------
    variant
        Id of the variant; empty for a model that is not of the project.
    provenance
        Its nodes to nodes of the baseline; empty when not known.
    changes
        What the step that made it did.
    parent
        Name of the variant that it was made from.
    order
        Its place among the project's variants, parents before children; those from elsewhere come last.
    """

    name: str
    artifact: Artifact
    variant: str = ""
    provenance: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changes: tuple[NodeChange, ...] = ()
    parent: str = ""
    order: int = 1 << 30

    @property
    def is_baseline(self) -> bool:
        """Whether it is the model that the project started from."""
        return self.variant == BASELINE


def shown(session: Session, variant: str) -> Shown:
    """Give what the project knows of a variant."""
    project = session.project
    found = project.variant(variant)
    parent = project.variant(found.parent).name if found.parent else ""
    order = project.variants.index(found)
    return Shown(found.name, session.artifact(variant), found.id, found.provenance, found.changes, parent, order)
