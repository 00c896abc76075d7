from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.core.artifact import Artifact
from studio.core.errors import StoreError, UsageError
from studio.core.locking import FileLock
from studio.core.migrations import PROJECT_MIGRATIONS
from studio.core.project import SCHEMA, Project
from studio.core.store import ProjectStore, check_project_name, project_folder
from tests.core.values import (
    artifact,
    evaluation,
    external_artifact,
    measurement,
    project,
    record,
    temporaries,
    tree,
    with_variant,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    return artifact(tmp_path / "in")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "net.burnish"


def create(folder: Path, source: Artifact) -> Project:
    with ProjectStore.create(folder, project(source), source) as store:
        return store.load()


def edited(store: ProjectStore, folder: Path, seed: int = 1) -> Project:
    made = store.blobs.put(external_artifact(folder.parent / "in", seed))
    return with_variant(store.load(), made, f"clean{seed}")


def test_a_new_project(folder: Path, source: Artifact) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        assert (store.load(), store.read_only, store.warnings) == (project(source), False, ())
        assert not (store.measurements() or store.evaluations())
        assert store.blobs.get(source.sha256, verify=True).path.is_relative_to(folder)
    assert source.path.exists()
    assert temporaries(folder) == []
    assert json.loads((folder / "project.json").read_text())["schema_version"] == SCHEMA


def test_all_that_was_saved_comes_back(folder: Path, source: Artifact) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        after = edited(store, folder)
        store.save(after)
        store.append_measurements([measurement("a"), measurement("b")])
        store.append_measurements([measurement("c")])
        store.append_evaluations([evaluation("a")])
    with ProjectStore.open(folder) as store:
        assert store.load() == after
        assert store.load().variants[1].verification == after.variants[1].verification
        assert store.measurements() == tuple(map(measurement, "abc"))
        assert store.evaluations() == (evaluation("a"),)
        assert store.warnings == ()


def test_a_project_can_be_moved_and_opened_by_its_document(folder: Path, source: Artifact, tmp_path: Path) -> None:
    create(folder, source)
    moved = folder.rename(tmp_path / "other place.burnish")
    with ProjectStore.open(moved / "project.json") as store:
        assert store.folder == moved
        assert store.blobs.get(source.sha256, verify=True).path.is_relative_to(moved)
        assert store.warnings == ()


def test_models_of_all_variants_are_there_from_the_start(folder: Path, source: Artifact, tmp_path: Path) -> None:
    made = artifact(tmp_path / "in", 1)
    after = with_variant(project(source), made)
    with ProjectStore.create(folder, after, source, [made]) as store:
        assert store.blobs.has(made.sha256)
        assert store.warnings == ()


# creating


@pytest.mark.parametrize("there", ["file", "project", "other"])
def test_what_is_there_is_not_overwritten(folder: Path, source: Artifact, there: str) -> None:
    if there == "project":
        create(folder, source)
    elif there == "other":
        folder.mkdir()
        (folder / "thesis.txt").write_text("mine")
    else:
        folder.write_text("mine")
    before = tree(folder.parent)
    with pytest.raises(StoreError, match="is already there"):
        ProjectStore.create(folder, project(source), source)
    assert tree(folder.parent) == before


def test_an_empty_folder_is_used(folder: Path, source: Artifact) -> None:
    folder.mkdir()
    assert create(folder, source) == project(source)


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace", "rename"])
@pytest.mark.parametrize("existed", [True, False])
def test_a_failed_creation_leaves_nothing(
    folder: Path, source: Artifact, monkeypatch: pytest.MonkeyPatch, step: str, existed: bool
) -> None:
    if existed:
        folder.mkdir()

    def full(*_args: Any, **_named: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(StoreError, match="the disk is full"):
            ProjectStore.create(folder, project(source), source)
    assert folder.exists() is existed
    assert not existed or list(folder.iterdir()) in ([], [folder / "project.lock"])
    assert create(folder, source) == project(source)


def test_a_folder_that_another_process_is_filling(folder: Path, source: Artifact) -> None:
    folder.mkdir()
    with FileLock(folder / "project.lock") as lock:
        assert lock.acquire()
        with pytest.raises(StoreError, match="another process"):
            ProjectStore.create(folder, project(source), source)
        assert [path.name for path in folder.iterdir()] == ["project.lock"]


def test_another_source_than_the_baseline_is_refused(folder: Path, source: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another model"):
        ProjectStore.create(folder, project(source), artifact(tmp_path / "in", 1))
    assert not folder.exists()


@pytest.mark.parametrize("name", ["net", "a b", "ResNet-50 v1.5", "größe", "n" * 100, "comic"])
def test_names_that_a_project_can_have(name: str, tmp_path: Path) -> None:
    assert project_folder(tmp_path, name) == tmp_path / f"{name}.burnish"


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "a\\b", "..", "x.", " x", "CON", "nul", "lpt1.txt", "a:b", "a\nb", "ß" * 51, "a?"]
)
def test_names_that_a_project_cannot_have(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_project_name(name)
    assert caught.value.hint


def test_a_folder_of_another_name_is_refused(tmp_path: Path, source: Artifact) -> None:
    with pytest.raises(UsageError, match="is not a project's name"):
        ProjectStore.create(tmp_path / "net", project(source), source)


# what is not a project, is damaged or of another version


def test_what_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name, message in (("none", "There is no project"), ("file", "There is no project"), ("folder", "is not a")):
        with pytest.raises(StoreError, match=message):
            ProjectStore.open(tmp_path / name)
    assert tree(tmp_path) == {"file": b"x"}


DAMAGE: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "cut off": b'{"schema_version": 1, "name": "n',
    "zeros": b"\0" * 500,
    "another document": b"[]",
    "no version": b"{}",
    "no project": b'{"schema_version": 1}',
    "no tree": b'{"schema_version":1,"name":"n","source_name":"s","created_at":"t","variants":[]}',
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_document_is_opened_as_it_was_before(folder: Path, source: Artifact, kind: str) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        store.save(edited(store, folder))
    damaged = damage(folder / "project.json", kind)
    with ProjectStore.open(folder) as store:
        assert store.load() == project(source)
        (warning,) = store.warnings
        assert "the project was opened as it was saved the time before" in warning
        after = edited(store, folder, 2)
        store.save(after)
    with ProjectStore.open(folder) as store:
        assert (store.load(), store.warnings) == (after, ())
    assert json.loads((folder / "project.json.bak").read_bytes())["variants"][0]["name"] == "baseline"
    kept = folder / "project.json.damaged"
    assert (kept.read_bytes() if kept.exists() else None) == damaged


@pytest.mark.parametrize("kind", DAMAGE)
def test_saving_the_same_document_mends_a_damaged_one(folder: Path, source: Artifact, kind: str) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        store.save(edited(store, folder))
    damage(folder / "project.json", kind)
    with ProjectStore.open(folder) as store:
        store.save(store.load())
    with ProjectStore.open(folder) as store:
        assert (store.load(), store.warnings) == (project(source), ())


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind != "missing"])
def test_without_a_backup_damage_is_said_with_what_can_be_done(folder: Path, source: Artifact, kind: str) -> None:
    create(folder, source)
    damage(folder / "project.json", kind)
    with pytest.raises(StoreError, match=r"damaged: project\.json .* and project\.json\.bak is missing") as caught:
        ProjectStore.open(folder)
    assert "Restore project.json" in caught.value.hint
    with FileLock(folder / "project.lock") as lock:
        assert lock.acquire(), "a failed opening keeps no lock"


def damage(path: Path, kind: str) -> bytes | None:
    content = DAMAGE[kind]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    return content


def test_a_newer_schema_is_not_opened_nor_its_backup(folder: Path, source: Artifact) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        store.save(edited(store, folder))
    path = folder / "project.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99, "surprise": 1}))
    before = tree(folder)
    with pytest.raises(StoreError, match="newer Burnish") as caught:
        ProjectStore.open(folder)
    assert caught.value.hint == "Update Burnish."
    assert tree(folder) == before


def test_an_older_schema_is_migrated_in_memory_and_kept(
    folder: Path, source: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(folder, source)
    path = folder / "project.json"
    current = json.loads(path.read_text())
    title = current.pop("name")
    old = json.dumps({**current, "schema_version": 0, "title": title}).encode()
    path.write_bytes(old)
    monkeypatch.setitem(PROJECT_MIGRATIONS, 0, lambda document: {"name": document.pop("title"), **document})
    with ProjectStore.open(folder) as store:
        assert store.load() == project(source)
        assert path.read_bytes() == old, "nothing is written until it is saved"
        store.save(store.load())
        store.save(edited(store, folder))
        store.save(edited(store, folder, 2))
    assert (folder / "project.schema-0.json").read_bytes() == old
    with ProjectStore.open(folder) as store:
        assert len(store.load().variants) == 3


def test_a_missing_model_is_a_warning(folder: Path, source: Artifact) -> None:
    create(folder, source)
    with ProjectStore.open(folder) as store:
        store.blobs.discard(source.sha256)
    with ProjectStore.open(folder) as store:
        assert store.warnings == ("The model of the variant 'baseline' is missing or damaged; run its step again.",)
        store.save(store.load().model_copy(update={"name": "still editable"}))


def test_leftovers_of_a_crash_are_cleaned(folder: Path, source: Artifact) -> None:
    create(folder, source)
    for parent in (folder, folder / "blobs", folder / "cache" / "steps"):
        parent.mkdir(parents=True, exist_ok=True)
        (parent / ".burnish-tmp-0123").mkdir()
        (parent / ".burnish-tmp-0123" / "part").write_text("half")
    ProjectStore.open(folder).close()
    assert temporaries(folder) == []


def test_torn_facts_are_reported_once_and_cut_off(folder: Path, source: Artifact) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        store.append_measurements([measurement("a")])
        store.append_evaluations([evaluation("a")])
    for name in ("measurements.jsonl", "evaluations.jsonl"):
        with (folder / name).open("ab") as stream:
            stream.write(b'{"schema_version":1,"half')
    with ProjectStore.open(folder) as store:
        assert [text.split(" was ")[0] for text in store.warnings] == [
            "The last line of measurements.jsonl",
            "The last line of evaluations.jsonl",
        ]
        assert (store.measurements(), store.evaluations()) == ((measurement("a"),), (evaluation("a"),))
        store.append_measurements([measurement("b")])
        assert store.measurements() == (measurement("a"), measurement("b"))
    with ProjectStore.open(folder) as store:
        assert store.warnings == ()


def test_a_damaged_line_is_a_warning(folder: Path, source: Artifact) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        (folder / "measurements.jsonl").write_text("{}\n")
        store.append_measurements([measurement("a")])
        assert store.measurements() == store.measurements() == (measurement("a"),)
        (warning,) = store.warnings
        assert warning.startswith("Line 1 of measurements.jsonl was left out")


# saving


def test_a_model_that_is_not_stored_cannot_be_saved(folder: Path, source: Artifact, tmp_path: Path) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        before = tree(folder)
        with pytest.raises(StoreError, match="The model of the variant 'clean' is not in the project"):
            store.save(with_variant(store.load(), artifact(tmp_path / "in", 1)))
        assert tree(folder) == before


def test_the_backup_is_the_document_before(folder: Path, source: Artifact) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        first = (folder / "project.json").read_bytes()
        after = edited(store, folder)
        for _ in range(2):
            store.save(after)
            assert (folder / "project.json.bak").read_bytes() == first


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_failed_save_keeps_the_document(
    folder: Path, source: Artifact, monkeypatch: pytest.MonkeyPatch, step: str, call: int
) -> None:
    with ProjectStore.create(folder, project(source), source) as store:
        after = edited(store, folder)
        real, calls = getattr(os, step), iter(range(1, 1000))

        def full(*args: Any, **named: Any) -> Any:
            if next(calls) == call:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **named)

        with monkeypatch.context() as patch:
            patch.setattr(os, step, full)
            try:
                store.save(after)
            except StoreError as error:
                assert "the disk is full" in error.message
                assert store.load() == project(source)
        assert temporaries(folder) == []
        store.save(after)
        assert store.load() == after
    with ProjectStore.open(folder) as store:
        assert (store.load(), store.warnings) == (after, ())


def test_collecting_keeps_what_anything_refers_to(folder: Path, source: Artifact, tmp_path: Path) -> None:
    models = [artifact(tmp_path / "in", seed) for seed in range(1, 6)]
    with ProjectStore.create(folder, project(source), source) as store:
        backup, current, undo, cached, unused = [store.blobs.put(model) for model in models]
        store.save(with_variant(project(source), backup, "old"))
        store.save(with_variant(project(source), current, "new"))
        store.steps.put(source.sha256, "step", "", record(source, cached))
        assert store.collect({undo.sha256}) > unused.bytes
        kept = {model.sha256 for model in (source, backup, current, undo, cached)}
        assert set(store.blobs.digests()) == kept
        assert store.models() == {source.sha256, backup.sha256, current.sha256}


# two at once


def test_the_second_one_reads_only(folder: Path, source: Artifact) -> None:
    create(folder, source)
    with ProjectStore.open(folder) as writer, ProjectStore.open(folder) as reader:
        assert (writer.read_only, reader.read_only) == (False, True)
        assert any("open for writing" in text for text in reader.warnings)
        for action in (
            lambda: reader.save(project(source)),
            lambda: reader.append_measurements([measurement("a")]),
            lambda: reader.append_evaluations([evaluation("a")]),
            lambda: reader.collect(),
        ):
            with pytest.raises(StoreError, match="is open read-only here"):
                action()
        after = edited(writer, folder)
        writer.save(after)
        writer.append_measurements([measurement("a")])
        assert reader.load() == after
        assert reader.measurements() == (measurement("a"),)
    with ProjectStore.open(folder) as store:
        assert not store.read_only


def test_a_reader_leaves_the_writers_work_alone(folder: Path, source: Artifact) -> None:
    create(folder, source)
    with ProjectStore.open(folder):
        (folder / ".burnish-tmp-busy").write_text("being written")
        (folder / "measurements.jsonl").write_text('{"schema_version":1,"being')
        before = tree(folder)
        ProjectStore.open(folder).close()
        assert tree(folder) == before


def test_a_closed_project_is_not_written(folder: Path, source: Artifact) -> None:
    create(folder, source)
    store = ProjectStore.open(folder)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="read-only"):
        store.append_measurements([measurement("a")])


def test_a_read_only_disk_opens_read_only(folder: Path, source: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    create(folder, source)
    before = tree(folder)

    def refuse(_: object) -> bool:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with ProjectStore.open(folder) as store:
        assert store.read_only
        assert store.load() == project(source)
        assert store.warnings == (
            f"The project is open read-only: its folder cannot be written ({os.strerror(errno.EROFS)}).",
        )
    assert tree(folder) == before


HOLDER = """
import sys
from pathlib import Path
from studio.core.store import ProjectStore
store = ProjectStore.open(Path(sys.argv[1]))
print(store.read_only, flush=True)
sys.stdin.read()
"""


def test_a_process_that_dies_lets_the_next_one_write(folder: Path, source: Artifact) -> None:
    create(folder, source)
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "False\n"
        with ProjectStore.open(folder) as store:
            assert store.read_only
        child.kill()
        child.wait()
    with ProjectStore.open(folder) as store:
        assert not store.read_only
