from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from studio.core.artifact import open_artifact
from studio.core.delivery import check_target, deliver
from studio.core.errors import StoreError
from tests import models


def test_a_model_alone_arrives_as_it_was(tmp_path: Path) -> None:
    source = open_artifact(models.save(models.cnn(), tmp_path / "a.onnx"))
    written = deliver(source, tmp_path / "b.onnx")
    assert written.sha256 == source.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_external_data_is_renamed_after_the_target(tmp_path: Path) -> None:
    source = open_artifact(models.save_external(models.mlp(), tmp_path / "in" / "a.onnx", "weights.bin"))
    (tmp_path / "out").mkdir()
    written = deliver(source, tmp_path / "out" / "b.onnx")
    assert [file.location for file in written.external] == ["b.onnx.data"]
    before, after = onnx.load(str(source.path)), onnx.load(str(written.path))
    assert [item.raw_data for item in before.graph.initializer] == [item.raw_data for item in after.graph.initializer]


def test_a_failed_copy_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_artifact(models.save(models.cnn(), tmp_path / "a.onnx"))
    target = tmp_path / "b.onnx"
    target.write_bytes(b"older")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("studio.core.delivery.shutil.copyfile", full)
    with pytest.raises(StoreError, match="the disk is full"):
        deliver(source, target)
    assert target.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        check_target(tmp_path)
    with pytest.raises(StoreError, match="no folder"):
        check_target(tmp_path / "missing" / "b.onnx")
