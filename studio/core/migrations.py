"""Documents of older schema versions, brought to this one step by step, in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from studio.core.errors import StoreError

Document = dict[str, Any]
#: A version to the function that makes a document of it one of the next version.
Migrations = Mapping[int, Callable[[Document], Document]]


def _annotated(document: Document) -> Document:
    """Bring a project to schema 2: variants have a colour and may be duplicates; failed steps stay as rows."""
    # What a variant of schema 1 does not say has a default.
    return {"failed": [], **document}


PROJECT_MIGRATIONS: dict[int, Callable[[Document], Document]] = {1: _annotated}
FACT_SCHEMA = 1
MEASUREMENT_MIGRATIONS: dict[int, Callable[[Document], Document]] = {}
EVALUATION_MIGRATIONS: dict[int, Callable[[Document], Document]] = {}


def migrate(document: Document, migrations: Migrations, target: int, *, what: str) -> Document:
    """Bring a document to the target version.

    Parameters
    ----------
    document
        Plain data with its ``schema_version``; not modified.
    migrations
        The known steps. Each gets a copy and need not set the version.
    target
        The version that this program reads.
    what
        What the document is, as the start of a sentence.

    Returns
    -------
    dict
        A new document whose ``schema_version`` is `target`.

    Raises
    ------
    StoreError
        When it has no version, a newer one, or one from which no step leads here.
    """
    current = dict(document)
    version = current.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise StoreError(f"{what} does not say its schema version.", "Restore it from a copy.")
    if version > target:
        raise StoreError(
            f"{what} was written by a newer Burnish (schema {version}; this one reads {target}).", "Update Burnish."
        )
    while version < target:
        if version not in migrations:
            raise StoreError(f"{what} has schema {version}, which this Burnish cannot read.", "Use an older Burnish.")
        current = {**migrations[version](dict(current)), "schema_version": version + 1}
        version += 1
    return current
