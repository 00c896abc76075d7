"""A process is killed at every call that changes the disk; what it leaves must be the old state or the new."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from studio.core.project import Project
from studio.core.store import ProjectStore
from tests.core.values import artifact, external_artifact, measurement, project, temporaries, with_variant

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the children are forked")

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Remains:
    """What a killed process left; `at` is empty when it had completed its work."""

    folder: Path
    at: str
    how: str

    @property
    def store(self) -> Path:
        return self.folder / "net.burnish"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    source = external_artifact(folder / "in")
    with ProjectStore.create(folder / "net.burnish", project(source), source) as store:
        store.append_measurements([measurement("a")])
    return folder


def kill_everywhere(work: str, template: Path, least: int) -> Iterator[Remains]:
    """Give what is left after each kill, having checked that the work was really killed at many calls."""
    out = template.parent / "out"
    out.mkdir()
    command = [sys.executable, "-m", "tests.core.killed", work, str(template), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [
        Remains(Path(line["folder"]), line["at"], line["how"]) for line in map(json.loads, done.stdout.split("\n")[:-1])
    ]
    died = Counter(remains.how for remains in found if remains.at)
    assert died["before"] >= least, died
    assert [remains.how for remains in found if not remains.at] == ["before", "half"]
    yield from found


def check(remains: Remains) -> Project:
    """Open what is left: nothing lost, nothing damaged, nothing half done; gives its document."""
    with ProjectStore.open(remains.store) as store:
        assert (store.read_only, store.warnings) == (False, ()), remains
        assert temporaries(remains.store) == [], remains
        assert store.blobs.verify() == (), remains
        assert store.measurements()[0] == measurement("a"), remains
        return store.load()


def test_save(template: Path) -> None:
    old = project(external_artifact(template / "in"))
    new = old.model_copy(update={"name": "changed"})
    seen = set()
    for remains in kill_everywhere("save", template, 14):
        document = check(remains)
        assert document in (old, new), remains
        assert remains.at or document == new
        seen.add(document.name)
        with ProjectStore.open(remains.store) as store:
            store.save(new)
        assert check(remains) == new, remains
    assert seen == {"net", "changed"}


def test_add_a_variant_with_its_model(template: Path) -> None:
    old = project(external_artifact(template / "in"))
    made = external_artifact(template.parent / "in", 1)
    new = with_variant(old, made)
    for remains in kill_everywhere("add", template, 35):
        document = check(remains)
        assert document in (old, new), remains
        assert remains.at or document == new
        with ProjectStore.open(remains.store) as store:
            assert store.blobs.has(made.sha256) or document == old, remains
            store.save(with_variant(store.load(), store.blobs.put(made)))
            assert store.collect() == 0
        assert check(remains) == new, remains


def test_append_facts(template: Path) -> None:
    every = tuple(map(measurement, "abcd"))
    torn = 0
    for remains in kill_everywhere("append", template, 3):
        with ProjectStore.open(remains.store) as store:
            torn += bool(store.warnings)
            found = store.measurements()
            assert found == every[: len(found)], remains
            assert len(found) == 4 or remains.at, remains
            store.append_measurements([measurement("e")])
            assert store.measurements() == (*found, measurement("e")), remains
        check(remains)
    assert torn, "half a write leaves a torn line"


def test_create(template: Path) -> None:
    source = external_artifact(template / "in")
    for remains in kill_everywhere("create", bare(template), 30):
        if not (remains.store / "project.json").exists():
            assert remains.at, remains
            ProjectStore.create(remains.store, project(source), source).close()
        with ProjectStore.open(remains.store) as store:
            assert (store.load(), store.warnings) == (project(source), ()), remains
            assert store.blobs.verify() == ()
        assert temporaries(remains.store) == [], remains


def bare(template: Path) -> Path:
    """A folder without a project, beside the template."""
    folder = template.parent / "bare"
    folder.mkdir()
    return folder


def test_keep_a_step(template: Path) -> None:
    source, made = artifact(template.parent / "in"), artifact(template.parent / "in", 2)
    for remains in kill_everywhere("cache", template, 20):
        check(remains)
        with ProjectStore.open(remains.store) as store:
            found = store.steps.get(source.sha256, "step")
            assert found is not None or remains.at, remains
            assert found is None or found.artifact == store.blobs.get(made.sha256), remains


def test_collect(template: Path) -> None:
    source = external_artifact(template / "in")
    for remains in kill_everywhere("collect", template, 8):
        assert check(remains) == project(source)
        with ProjectStore.open(remains.store) as store:
            assert store.blobs.has(source.sha256), remains
            store.collect()
            assert store.blobs.digests() == (source.sha256,), remains


def test_open_after_a_crash(template: Path) -> None:
    left = template / "net.burnish" / "blobs" / ".burnish-tmp-0"
    left.mkdir()
    (left / "model.onnx").write_text("half")
    for remains in kill_everywhere("reopen", template, 3):
        check(remains)
