from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from studio.core import blobs as blobs_module
from studio.core.artifact import Artifact, open_artifact
from studio.core.blobs import BlobStore
from studio.core.errors import StoreError
from tests.core.values import artifact, external_artifact, temporaries, tree
from tests.models import cnn, mlp, save, save_external

ROOT = Path(__file__).parents[2]


def make(kind: str, folder: Path, seed: int = 0) -> Artifact:
    return {"alone": artifact, "external": external_artifact}[kind](folder, seed)


@pytest.mark.parametrize("kind", ["alone", "external"])
def test_a_copy_is_the_same_model(tmp_path: Path, kind: str) -> None:
    source = make(kind, tmp_path / "in")
    before = tree(tmp_path / "in")
    store = BlobStore(tmp_path / "blobs")
    stored = store.put(source)
    assert stored.path == tmp_path / "blobs" / "sha256" / source.sha256[:2] / source.sha256 / "model.onnx"
    assert open_artifact(stored.path) == stored == store.get(source.sha256, verify=True)
    assert (stored.sha256, stored.external) == (source.sha256, source.external)
    assert tree(tmp_path / "in") == before
    onnx.checker.check_model(str(stored.path), full_check=True)
    assert temporaries(tmp_path) == []


@pytest.mark.parametrize("kind", ["alone", "external"])
@pytest.mark.parametrize("same_disk", [True, False])
def test_a_move_takes_the_files_away(
    tmp_path: Path, kind: str, same_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(kind, tmp_path / "in")
    if not same_disk:
        monkeypatch.setattr(blobs_module, "_same_disk", lambda *_: False)
    stored = BlobStore(tmp_path / "blobs").put(source, move=True)
    assert open_artifact(stored.path).sha256 == source.sha256
    assert tree(tmp_path / "in") == {}


def test_a_moved_link_is_copied_and_its_target_stays(tmp_path: Path) -> None:
    real = artifact(tmp_path / "real")
    link = tmp_path / "link.onnx"
    link.symlink_to(real.path)
    stored = BlobStore(tmp_path / "blobs").put(open_artifact(link), move=True)
    assert not stored.path.is_symlink()
    assert real.path.exists()
    assert not link.exists()


def test_a_stored_model_is_read_only_and_has_one_link(tmp_path: Path) -> None:
    stored = BlobStore(tmp_path / "blobs").put(external_artifact(tmp_path / "in"))
    for path in stored.files:
        assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
        assert path.stat().st_nlink == 1


@pytest.mark.parametrize("move", [True, False])
def test_putting_twice_changes_nothing(tmp_path: Path, move: bool) -> None:
    source = external_artifact(tmp_path / "in")
    store = BlobStore(tmp_path / "blobs")
    first = store.put(source)
    inode = first.path.stat().st_ino
    assert store.put(source, move=move) == first
    assert first.path.stat().st_ino == inode
    assert store.put(first, move=True) == first
    assert store.get(source.sha256, verify=True) == first
    assert source.path.exists() is not move


@pytest.mark.parametrize("move", [True, False])
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("same_size", [True, False])
def test_a_source_that_was_modified_is_refused(tmp_path: Path, move: bool, victim: int, same_size: bool) -> None:
    source = external_artifact(tmp_path / "in")
    content = bytearray(source.files[victim].read_bytes())
    content[-1] ^= 1
    source.files[victim].write_bytes(content if same_size else content[:-1])
    before = tree(tmp_path / "in")
    store = BlobStore(tmp_path / "blobs")
    with pytest.raises(StoreError, match="was modified or removed since it was opened"):
        store.put(source, move=move)
    assert tree(tmp_path / "in") == before
    assert store.digests() == ()
    assert temporaries(tmp_path) == []


@pytest.mark.parametrize("step", ["open", "write", "fsync", "rename", "mkdir", "chmod"])
@pytest.mark.parametrize("move", [True, False])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_full_disk_stores_nothing_and_keeps_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, move: bool, call: int
) -> None:
    source = external_artifact(tmp_path / "in")
    before = tree(tmp_path / "in")
    store = BlobStore(tmp_path / "blobs")
    real, calls = getattr(os, step), iter(range(1, 1000))

    def fail(*args: Any, **named: Any) -> Any:
        if next(calls) == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        try:
            store.put(source, move=move)
            failed = False
        except StoreError as error:
            failed = "the disk is full" in error.message
            assert failed, error
    if failed:
        assert tree(tmp_path / "in") == before
        assert source.path.stat().st_mode & stat.S_IWRITE
    # A folder's name may be durable though flushing it failed: then the model is there, and whole.
    assert store.verify() == ()
    assert temporaries(tmp_path) == []
    if source.path.exists():
        assert store.put(source).sha256 == source.sha256


def test_too_little_space_is_said_before_copying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = artifact(tmp_path / "in")
    usage = type("Usage", (), {"free": source.bytes - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match="are needed"):
        BlobStore(tmp_path / "blobs").put(source)


@pytest.mark.parametrize("location", ["model.onnx", "Artifact.JSON", "model.onnx/w.bin"])
def test_weights_under_a_reserved_name_are_refused(tmp_path: Path, location: str) -> None:
    source = open_artifact(save_external(mlp(), tmp_path / "net.onnx", location))
    with pytest.raises(StoreError, match="a name that the store needs"):
        BlobStore(tmp_path / "blobs").put(source)


@pytest.mark.parametrize("damage", ["missing", "short", "index", "no index", "other index"])
def test_damage_is_found_by_looking(tmp_path: Path, damage: str) -> None:
    store = BlobStore(tmp_path / "blobs")
    source = external_artifact(tmp_path / "in")
    stored = store.put(source)
    weights, index = stored.files[1], stored.path.parent / "artifact.json"
    for path in (weights, index):
        path.chmod(0o644)
    if damage == "missing":
        weights.unlink()
    elif damage == "short":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif damage == "index":
        index.write_text("{")
    elif damage == "no index":
        index.unlink()
    else:
        index.write_bytes((store.put(artifact(tmp_path / "in", 1)).path.parent / "artifact.json").read_bytes())
    with pytest.raises(StoreError, match=r"damaged|is not in"):
        store.get(source.sha256)
    assert not store.has(source.sha256)
    assert len(store.verify()) == 1
    assert store.put(source) == stored
    assert store.verify() == ()


def test_a_flipped_bit_is_found_by_hashing(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    stored, other = store.put(external_artifact(tmp_path / "in")), store.put(artifact(tmp_path / "in", 1))
    weights = stored.files[1]
    weights.chmod(0o644)
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    assert store.get(stored.sha256) == stored
    with pytest.raises(StoreError, match="is damaged"):
        store.get(stored.sha256, verify=True)
    (problem,) = store.verify()
    assert stored.sha256[:12] in problem.message
    assert store.get(other.sha256, verify=True) == other


def test_an_unknown_model(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    with pytest.raises(StoreError, match="is not in"):
        store.get("0" * 64)
    assert not store.has("0" * 64)
    assert not (store.digests() or store.verify())
    assert store.discard("0" * 64) == 0


@pytest.mark.parametrize("name", ["", "../../etc", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_what_is_no_digest_leads_nowhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="is not the digest of a model"):
        BlobStore(tmp_path).get(name)


def test_collecting_frees_what_is_not_kept(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    kept = store.put(artifact(tmp_path / "in"))
    gone = store.put(external_artifact(tmp_path / "in", 1))
    occupied = sum(len(content) for content in tree(gone.path.parent).values())
    assert store.collect({kept.sha256}) == occupied >= gone.bytes
    assert store.digests() == (kept.sha256,)
    assert store.collect({kept.sha256}) == 0
    assert temporaries(tmp_path) == []


PUTTER = """
import sys, time
from pathlib import Path
from studio.core.artifact import open_artifact
from studio.core.blobs import BlobStore
root, start, *models = sys.argv[1:]
artifacts = [open_artifact(path) for path in models]
store = BlobStore(Path(root))
while time.time() < float(start):
    pass
for artifact in artifacts:
    assert store.put(artifact).sha256 == artifact.sha256
"""


def test_processes_that_put_the_same_models_at_once(tmp_path: Path) -> None:
    import time

    models = [save(cnn(seed=seed), tmp_path / "in" / f"{seed}.onnx") for seed in range(30)]
    start = str(time.time() + 3)
    command = [sys.executable, "-c", PUTTER, str(tmp_path / "blobs"), start, *map(str, models)]
    children = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    outcomes = [(child.communicate()[1], child.returncode) for child in children]
    assert outcomes == [("", 0)] * 3
    store = BlobStore(tmp_path / "blobs")
    assert set(store.digests()) == {open_artifact(path).sha256 for path in models}
    assert store.verify() == ()
    assert temporaries(tmp_path) == []
