"""The project's document as bytes: read with its backup behind it, written with its schema version."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from studio.core.atomic import explained
from studio.core.errors import StoreError
from studio.core.migrations import PROJECT_MIGRATIONS, migrate
from studio.core.project import SCHEMA, Project

PROJECT_FILE = "project.json"
BACKUP_FILE = "project.json.bak"
DAMAGED_FILE = "project.json.damaged"


@dataclass(frozen=True)
class Loaded:
    """A document and where it stands.

    Attributes
    ----------
    content
        The bytes that were read or written.
    schema
        The version of `content`; the project itself is always of this program's.
    recovered
        Whether it came from the backup, because the document itself could not be used.
    """

    project: Project
    content: bytes
    schema: int = SCHEMA
    recovered: bool = False
    warnings: tuple[str, ...] = ()


class _Damaged(Exception):
    """A document that is not what a save wrote."""


def dump_project(project: Project) -> bytes:
    """Write a project as JSON; reading it gives an equal project."""
    return (project.model_dump_json(by_alias=True, indent=1) + "\n").encode()


def load_project(folder: Path, names: tuple[str, ...] = (PROJECT_FILE, BACKUP_FILE)) -> Loaded:
    """Read the first of the documents that can be used.

    Parameters
    ----------
    folder
        The project's folder.
    names
        The document, then its backup.

    Raises
    ------
    StoreError
        When none can be used, or one is of a version that this program does not read.
    """
    reasons = []
    for name in names:
        try:
            loaded = _load(folder / name)
        except _Damaged as reason:
            reasons.append(f"{name} {reason}")
        else:
            return _as_recovered(loaded, reasons[0]) if reasons else loaded
    raise StoreError(
        f"The project {folder.name} is damaged: {' and '.join(reasons)}.",
        f"Restore {names[0]} from a copy of the folder; its models and measurements are still there.",
    )


def old_versions(folder: Path, loaded: Loaded) -> dict[Path, bytes]:
    """Say what a save must keep of what was there, and where.

    Returns
    -------
    dict
        The backup; for an older schema also a copy under that schema's name, which later saves do
        not replace; for a damaged document what was found in its place.
    """
    kept = {folder / BACKUP_FILE: loaded.content}
    if loaded.schema != SCHEMA:
        kept[folder / f"project.schema-{loaded.schema}.json"] = loaded.content
    document = folder / PROJECT_FILE
    if loaded.recovered and document.is_file():
        with explained(document, "read"):
            kept[folder / DAMAGED_FILE] = document.read_bytes()
    return kept


def _load(path: Path) -> Loaded:
    try:
        with explained(path, "read"):
            content = path.read_bytes() if path.exists() else None
        if content is None:
            raise _Damaged("is missing")
        document = json.loads(content)
    except ValueError:
        raise _Damaged("is not complete JSON") from None
    if not isinstance(document, dict) or "schema_version" not in document:
        raise _Damaged("does not hold a project")
    current = migrate(document, PROJECT_MIGRATIONS, SCHEMA, what=f"The project {path.parent.name}")
    try:
        return Loaded(Project.model_validate(current), content, int(document["schema_version"]))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _Damaged(f"does not hold a project ({where}: {str(first['msg']).lower()})") from None


def _as_recovered(loaded: Loaded, reason: str) -> Loaded:
    warning = f"{reason[0].upper()}{reason[1:]}; the project was opened as it was saved the time before."
    return Loaded(loaded.project, loaded.content, loaded.schema, True, (*loaded.warnings, warning))
