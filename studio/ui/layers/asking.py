"""What the Layers tab asks for, on background threads: profiles, causes, blocks of the source."""

from __future__ import annotations

from dataclasses import dataclass

from studio.analysis.explain import explain
from studio.analysis.profile import profile_model
from studio.benchmark import BenchOptions
from studio.core.diagnosis.explanation import Explanation
from studio.core.drawing.blocks import ROOT
from studio.core.drawing.picture import Picture
from studio.core.profile import Profile
from studio.session import Session
from studio.ui.graph.loading import lay_out
from studio.ui.subjects import subject_of
from studio.workbench import Watch

#: what a node that is in no block is counted under
OUTSIDE = "outside the blocks"


@dataclass(frozen=True)
class LayerFacts:
    """What was found: one profile or two, why they differ, and the block of each node of the first."""

    before: Profile
    after: Profile | None
    why: Explanation | None
    blocks: dict[str, str]

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """One or two profiles."""
        return (self.before,) if self.after is None else (self.before, self.after)


def find_layers(session: Session, before: str, after: str, device: str, seconds: float, watch: Watch) -> LayerFacts:
    """Profile a variant, or two beside each other; blocks until it is done.

    Parameters
    ----------
    after
        The other variant; empty for one alone.

    Raises
    ------
    BurnishError
        When one cannot be run.
    """
    options = BenchOptions(data=session.data().evaluation, seconds=seconds)
    first = subject_of(session, before, device)
    named = block_names(lay_out(session.work, first.artifact, None, watch).picture)
    if not after or after == before:
        found = profile_model(session.work, first, options, source=first.artifact, watch=watch)
        return LayerFacts(found, None, None, named)
    why = explain(session.work, first, subject_of(session, after, device), options, watch=watch)
    return LayerFacts(why.baseline, why.variant, why, named)


def block_names(picture: Picture) -> dict[str, str]:
    """Give the finest block of each node, named with the blocks around it: ``"stage2 / block1"``."""
    titles: list[str] = []
    found: dict[str, str] = {}
    for block in picture.blocks:
        # outer blocks come first
        titles.append(block.title if block.parent == ROOT else f"{titles[block.parent]} / {block.title}")
        found.update({picture.names[node]: titles[-1] for node in block.nodes})
    names = [picture.names[index] for index in range(len(picture.names))]
    return {name: found.get(name, OUTSIDE) for name in names}
