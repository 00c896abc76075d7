"""A variant on a device as jobs want it."""

from __future__ import annotations

from studio.jobs.tasks.subject import Subject
from studio.session import Session


def subject_of(session: Session, variant: str, device: str) -> Subject:
    """Give a variant on a device; blocks while devices are detected.

    Raises
    ------
    UsageError
        When there is no such device.
    """
    place = session.device(device)
    chosen = session.project.variant(variant)
    refused = session.refusal(variant, place.spec)
    return Subject(name=chosen.name, artifact=session.artifact(variant), device=place, refused=refused)
