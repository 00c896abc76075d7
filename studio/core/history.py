"""Undo and redo: snapshots of the project's document; models are named by digest and never copied."""

from __future__ import annotations

from dataclasses import dataclass, replace

from studio.core.project import Project

LIMIT = 200


@dataclass(frozen=True)
class Snapshot:
    """A state of the project, and the edit that led to it in words ("Add INT8")."""

    project: Project
    label: str = ""


@dataclass(frozen=True)
class History:
    """The states of a project, with the one that is shown; every edit gives a new history.

    Attributes
    ----------
    snapshots
        Oldest first, never empty.
    index
        Which of them is shown.
    limit
        How many are kept at most.
    """

    snapshots: tuple[Snapshot, ...]
    index: int = 0
    limit: int = LIMIT

    @classmethod
    def start(cls, project: Project, limit: int = LIMIT) -> History:
        """Begin with one state.

        Raises
        ------
        ValueError
            When the limit is below 1.
        """
        if limit < 1:
            raise ValueError("a history keeps at least one snapshot")
        return cls((Snapshot(project),), 0, limit)

    @property
    def present(self) -> Project:
        """The state that is shown."""
        return self.snapshots[self.index].project

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier state."""
        return self.index > 0

    @property
    def can_redo(self) -> bool:
        """Whether an edit was undone."""
        return self.index < len(self.snapshots) - 1

    @property
    def undo_label(self) -> str:
        """What `undo` would take back; empty when there is nothing."""
        return self.snapshots[self.index].label if self.can_undo else ""

    @property
    def redo_label(self) -> str:
        """What `redo` would do again; empty when there is nothing."""
        return self.snapshots[self.index + 1].label if self.can_redo else ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of every state, oldest first."""
        return tuple(snapshot.label for snapshot in self.snapshots)

    @property
    def models(self) -> frozenset[str]:
        """The sha256 of every model that a state refers to: these must stay on disk."""
        return frozenset(variant.model for snapshot in self.snapshots for variant in snapshot.project.variants)

    def push(self, project: Project, label: str) -> History:
        """Add an edit; what was undone is forgotten. An edit that changes nothing is none."""
        if project == self.present:
            return self
        kept = (*self.snapshots[: self.index + 1], Snapshot(project, label))[-self.limit :]
        return replace(self, snapshots=kept, index=len(kept) - 1)

    def undo(self) -> History:
        """Show the state before; the same history when there is none."""
        return replace(self, index=self.index - 1) if self.can_undo else self

    def redo(self) -> History:
        """Show the state that was undone last; the same history when there is none."""
        return replace(self, index=self.index + 1) if self.can_redo else self
