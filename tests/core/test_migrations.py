from __future__ import annotations

from typing import Any

import pytest

from studio.core.errors import StoreError
from studio.core.migrations import PROJECT_MIGRATIONS, migrate
from studio.core.project import SCHEMA, Project


def add(name: str) -> Any:
    return lambda document: {**document, name: True}


def test_steps_are_taken_in_order_and_the_source_stays() -> None:
    source = {"schema_version": 1, "x": 1}
    steps = {2: add("second"), 1: lambda document: {"first": document.pop("x")}}
    assert migrate(source, steps, 3, what="It") == {"schema_version": 3, "first": 1, "second": True}
    assert source == {"schema_version": 1, "x": 1}


def test_the_current_version_needs_no_step() -> None:
    assert migrate({"schema_version": 3}, {1: add("x")}, 3, what="It") == {"schema_version": 3}


@pytest.mark.parametrize(
    ("version", "message", "hint"),
    [
        (4, "It was written by a newer Burnish (schema 4; this one reads 3).", "Update Burnish."),
        (1, "It has schema 1, which this Burnish cannot read.", "Use an older Burnish."),
        ("1", "It does not say its schema version.", "Restore it from a copy."),
        (True, "It does not say its schema version.", "Restore it from a copy."),
        (None, "It does not say its schema version.", "Restore it from a copy."),
    ],
)
def test_versions_that_cannot_be_read(version: object, message: str, hint: str) -> None:
    with pytest.raises(StoreError) as caught:
        migrate({"schema_version": version}, {2: add("x")}, 3, what="It")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_project_of_schema_1_is_read() -> None:
    variants = [{"id": "baseline", "name": "baseline", "model": "m", "bytes": 1, "nodes": 1, "notes": "kept"}]
    old = {"schema_version": 1, "name": "n", "source_name": "s", "created_at": "t", "variants": variants}
    read = Project.model_validate(migrate(old, PROJECT_MIGRATIONS, SCHEMA, what="It"))
    assert read.schema_version == SCHEMA
    assert read.failed == ()
    assert (read.baseline.notes, read.baseline.color, read.baseline.copy_of) == ("kept", None, "")
