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
from studio.core.blobs import BlobStore
from studio.core.errors import StoreError
from studio.core.stepcache import StepCache
from tests.core.values import artifact, external_artifact, record, temporaries

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path: Path) -> StepCache:
    return StepCache(tmp_path / "cache" / "steps", BlobStore(tmp_path / "cache" / "blobs"))


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    return artifact(tmp_path / "in")


def test_a_result_comes_back_with_its_model(cache: StepCache, source: Artifact, tmp_path: Path) -> None:
    made = external_artifact(tmp_path / "in", 1)
    assert cache.get(source.sha256, "step") is None
    put = cache.put(source.sha256, "step", "", record(source, made), move=True)
    assert put.artifact == cache.blobs.get(made.sha256, verify=True)
    assert cache.get(source.sha256, "step") == put == record(source, put.artifact)
    assert not made.path.exists()
    assert cache.models() == {made.sha256}


def test_each_part_of_the_key_counts(cache: StepCache, source: Artifact, tmp_path: Path) -> None:
    made = artifact(tmp_path / "in", 1)
    cache.put("a", "b", "c", record(source, made))
    assert cache.get("a", "b", "c") is not None
    for key in (("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x"), ("a", "b", ""), ("ab", "", "c")):
        assert cache.get(*key) is None


def test_a_cache_can_be_moved(cache: StepCache, source: Artifact, tmp_path: Path) -> None:
    made = artifact(tmp_path / "in", 1)
    cache.put("a", "b", "", record(source, made))
    assert str(tmp_path).encode() not in next(cache.folder.glob("*.json")).read_bytes()
    (tmp_path / "cache").rename(tmp_path / "moved")
    moved = StepCache(tmp_path / "moved" / "steps", BlobStore(tmp_path / "moved" / "blobs"))
    found = moved.get("a", "b")
    assert found is not None
    assert found.artifact.path.is_relative_to(tmp_path / "moved")


@pytest.mark.parametrize("kind", ["empty", "cut off", "not JSON", "another key", "newer", "no model", "short model"])
def test_damage_is_a_miss_and_is_mended_by_the_next_put(
    cache: StepCache, source: Artifact, tmp_path: Path, kind: str
) -> None:
    made = artifact(tmp_path / "in", 1)
    stored = cache.put("a", "b", "", record(source, made)).artifact
    (path,) = cache.folder.glob("*.json")
    content = path.read_bytes()
    if kind == "no model":
        cache.blobs.discard(made.sha256)
    elif kind == "short model":
        stored.path.chmod(0o644)
        stored.path.write_bytes(b"x")
    else:
        document = json.loads(content)
        path.write_bytes(
            {
                "empty": b"",
                "cut off": content[: len(content) // 2],
                "not JSON": b"\xff\0",
                "another key": json.dumps({**document, "key": {**document["key"], "data": "x"}}).encode(),
                "newer": json.dumps({**document, "schema_version": 99}).encode(),
            }[kind]
        )
    assert cache.get("a", "b") is None
    cache.put("a", "b", "", record(source, made))
    assert cache.get("a", "b") is not None
    assert cache.blobs.verify() == ()


def test_pruning_forgets_what_was_used_longest_ago(cache: StepCache, source: Artifact, tmp_path: Path) -> None:
    made = [artifact(tmp_path / "in", seed) for seed in range(1, 5)]
    for age, model in enumerate(made):
        cache.put("a", f"{age}", "", record(source, model))
    for path in cache.folder.glob("*.json"):
        age = int(json.loads(path.read_bytes())["key"]["step"])
        os.utime(path, (1000 - age, 1000 - age))
    cache.get("a", "3")
    size = made[0].bytes
    assert cache.prune(4 * size, grace=0) == 0
    assert cache.prune(2 * size, grace=0) >= 2 * size
    assert [cache.get("a", f"{age}") is not None for age in range(4)] == [True, False, False, True]
    assert set(cache.blobs.digests()) == {made[0].sha256, made[3].sha256}
    assert cache.prune(0, grace=0) >= 2 * size
    assert cache.blobs.digests() == ()
    assert list(cache.folder.iterdir()) == []


def test_pruning_leaves_models_that_are_used_elsewhere(cache: StepCache, source: Artifact, tmp_path: Path) -> None:
    made, foreign = artifact(tmp_path / "in", 1), cache.blobs.put(artifact(tmp_path / "in", 2))
    cache.put("a", "1", "", record(source, made))
    cache.put("a", "2", "", record(source, made))
    assert cache.prune(0, {made.sha256}, grace=0) == 0
    assert cache.get("a", "1") is not None, "a model that stays anyhow costs nothing"
    assert cache.prune(made.bytes, grace=0) == 0, "a model counts once"
    assert cache.prune(made.bytes - 1, grace=0) >= made.bytes
    assert cache.blobs.digests() == (foreign.sha256,), "a model that no record named is not the cache's to remove"


def test_pruning_spares_what_another_process_may_be_reading(cache: StepCache, source: Artifact, tmp_path: Path) -> None:
    made = artifact(tmp_path / "in", 1)
    cache.put("a", "1", "", record(source, made))
    (path,) = cache.folder.glob("*.json")
    folder = cache.blobs.get(made.sha256).path.parent
    assert cache.prune(0) == 0, "just put"
    os.utime(path, (1000, 1000))
    assert cache.prune(0) == 0, "its model was just put"
    os.utime(folder, (1000, 1000))
    cache.get("a", "1")
    assert cache.prune(0) == 0, "just read"
    os.utime(path, (1000, 1000))
    cache.blobs.put(made)
    assert cache.prune(0) == 0, "its model was put again"
    os.utime(path, (1000, 1000))
    os.utime(folder, (1000, 1000))
    assert cache.prune(0) >= made.bytes


def test_pruning_removes_damaged_records(cache: StepCache, source: Artifact, tmp_path: Path) -> None:
    cache.put("a", "1", "", record(source, artifact(tmp_path / "in", 1)))
    (cache.folder / "damaged.json").write_text("{")
    assert cache.prune(10**9, grace=0) == 0
    assert not (cache.folder / "damaged.json").exists()
    assert cache.get("a", "1") is not None


@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_full_disk(
    cache: StepCache, source: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(StoreError, match="the disk is full"):
            cache.put("a", "b", "", record(source, artifact(tmp_path / "in", 1)))
    assert cache.get("a", "b") is None
    assert temporaries(tmp_path) == []


def test_cleaning(cache: StepCache) -> None:
    for folder in (cache.folder, cache.blobs.root):
        folder.mkdir(parents=True)
        (folder / ".burnish-tmp-0").write_text("half")
    assert cache.clean(older_than=1000) == 0
    assert cache.clean() == 2


WORKER = """
import sys
from pathlib import Path
from studio.core.blobs import BlobStore
from studio.core.stepcache import StepCache
from tests.core.values import artifact, record
root, own = Path(sys.argv[1]), Path(sys.argv[2])
cache = StepCache(root / "steps", BlobStore(root / "blobs"))
source = artifact(own)
for turn in range(40):
    made = artifact(own, 1 + turn % 4)
    put = cache.put("source", str(turn % 4), "", record(source, made))
    found = cache.get("source", str(turn % 4))
    assert found is None or found.artifact.sha256 == made.sha256
    if turn % 5 == 4:
        cache.prune(0 if turn % 10 == 4 else 10**9, grace=0)
"""


def test_processes_that_put_and_prune_at_once(cache: StepCache, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(root), str(tmp_path / name)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    assert [(child.communicate()[1], child.returncode) for child in children] == [("", 0)] * 2
    assert cache.blobs.verify() == ()
    assert temporaries(root) == []
