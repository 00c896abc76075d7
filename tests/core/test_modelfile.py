from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from studio.core import modelfile
from studio.core.artifact import open_artifact
from studio.core.errors import ModelError, StoreError
from studio.core.modelfile import read_model, read_proto, write_model, write_proto
from tests.models import branching, cnn, mlp, save, save_external


def run(path: Path) -> Any:
    """Outputs of a model for fixed inputs."""
    feeds: dict[str, Any] = {"image": np.arange(8, dtype=np.float32).reshape(1, 8) / 8}
    proto = onnx.load(str(path))
    if proto.graph.input[0].name == "x":
        feeds = {"x": feeds["image"], "b": np.array(True)}
    results: Any = ReferenceEvaluator(proto).run(None, feeds)
    return results[0]


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "zip": (b"PK\x03\x04 and so on", "is a zip archive"),
    "text": (b"hello, this is text", r"is not (a complete|an) ONNX model"),
    "zeros": (b"\0" * 100, r"is not (a complete|an) ONNX model"),
    "other protobuf": (
        onnx.TensorProto(name="t", data_type=1).SerializeToString(),
        r"is not (a complete|an) ONNX model",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_files_that_are_no_model(tmp_path: Path, kind: str) -> None:
    content, message = BAD[kind]
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_proto(tmp_path / "net.onnx")
    assert caught.value.hint


def test_every_cut_of_a_model_is_refused_or_has_a_graph(tmp_path: Path) -> None:
    whole = save(cnn(), tmp_path / "net.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    refused = 0
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            assert read_proto(path).HasField("graph")
        except ModelError:
            refused += 1
    assert refused > len(whole) // 14


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no file"):
        read_proto(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="is a folder, not a model"):
        read_proto(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(cnn(), tmp_path / "net.onnx")

    def refuse(*_args: Any, **_named: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelError, match=os.strerror(errno.EACCES)):
        read_proto(path)


def test_external_weights_are_mapped_not_read(tmp_path: Path) -> None:
    model = read_model(open_artifact(save_external(mlp(), tmp_path / "net.onnx")))
    tensors = [value.const_value for value in model.graph.initializers.values()]
    assert tensors
    assert all(isinstance(tensor, ir.ExternalTensor) for tensor in tensors)


def test_a_graph_that_onnx_ir_cannot_read(tmp_path: Path) -> None:
    proto = mlp()
    proto.graph.initializer[0].data_type = 77
    with pytest.raises(ModelError, match="has a graph that cannot be read"):
        read_model(open_artifact(save(proto, tmp_path / "net.onnx")))


@pytest.mark.parametrize("build", [mlp, branching])
@pytest.mark.parametrize("external", [True, False])
@pytest.mark.parametrize("large", [True, False])
def test_writing_what_was_read_computes_the_same(
    tmp_path: Path, build: Any, external: bool, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    source = (save_external if external else save)(build(), tmp_path / "in" / "net.onnx")
    expected = run(source)
    if large:
        monkeypatch.setattr(modelfile, "EXTERNAL_THRESHOLD", 100)
    written = write_model(read_model(open_artifact(source)), tmp_path / "out" / "new.onnx")
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    assert open_artifact(written.path) == written
    onnx.checker.check_model(str(written.path), full_check=True)
    np.testing.assert_array_equal(run(written.path), expected)
    assert [file.location for file in written.external] == (["new.onnx.data"] if large and build is mlp else [])


@pytest.mark.parametrize("large", [True, False])
def test_writing_a_proto_twice(tmp_path: Path, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:
        monkeypatch.setattr(modelfile, "EXTERNAL_THRESHOLD", 100)
    expected = run(save(mlp(hidden=64), tmp_path / "in.onnx"))
    first = write_proto(mlp(hidden=64), tmp_path / "net.onnx")
    second = write_proto(mlp(hidden=64), tmp_path / "net.onnx")
    assert first == second == open_artifact(first.path)
    assert bool(second.external) is large
    np.testing.assert_array_equal(run(second.path), expected)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    model = read_model(open_artifact(save(mlp(), tmp_path / "in.onnx")))
    writers: list[Callable[[Path], object]] = [partial(write_model, model), partial(write_proto, mlp())]
    for write in writers:
        with pytest.raises(StoreError, match="cannot be written") as caught:
            write(tmp_path / "none" / "net.onnx")
        assert caught.value.hint
