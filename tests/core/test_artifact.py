from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from studio.core.artifact import combined_sha256, external_extents, iterate_tensors, open_artifact, rehash, sha256_file
from studio.core.errors import ModelError
from tests.models import branching, cnn, mlp, save, save_external


def test_a_model_that_stands_alone(tmp_path: Path) -> None:
    path = save(cnn(), tmp_path / "net.onnx")
    found = open_artifact(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() == rehash(found)
    assert found.files == (path,)
    assert found.bytes == found.model_bytes == path.stat().st_size
    assert found.external == ()


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(cnn(), tmp_path / "net.onnx")
    monkeypatch.chdir(tmp_path)
    assert open_artifact("net.onnx").path == tmp_path / "net.onnx"


def test_a_model_with_external_data(tmp_path: Path) -> None:
    path = save_external(mlp(), tmp_path / "net.onnx", "sub/w.bin")
    found = open_artifact(path)
    (file,) = found.external
    assert (file.location, file.bytes) == ("sub/w.bin", (tmp_path / "sub/w.bin").stat().st_size)
    assert found.files == (path, tmp_path / "sub/w.bin")
    assert found.bytes == path.stat().st_size + file.bytes
    text = f"{sha256_file(path)}\nsub/w.bin {sha256_file(tmp_path / 'sub/w.bin')}"
    assert found.sha256 == hashlib.sha256(text.encode()).hexdigest() == combined_sha256(sha256_file(path), (file,))


@pytest.mark.parametrize("victim", ["net.onnx", "weights.data"])
def test_any_changed_byte_changes_the_digest(tmp_path: Path, victim: str) -> None:
    found = open_artifact(save_external(mlp(), tmp_path / "net.onnx"))
    content = bytearray((tmp_path / victim).read_bytes())
    content[-1] ^= 1
    (tmp_path / victim).write_bytes(content)
    assert rehash(found) != found.sha256


def test_tensors_are_found_wherever_they_are() -> None:
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(mlp_array(), "values"),
        helper.make_tensor("at", onnx.TensorProto.INT64, [2], [0, 1]),
        [4],
    )
    proto = branching()
    proto.graph.node.append(helper.make_node("Constant", [], ["s"], sparse_value=sparse))
    function = proto.functions.add(name="f", domain="d")
    function.node.append(helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(mlp_array(), "inner")))
    assert {tensor.name for tensor in iterate_tensors(proto)} >= {"value", "tw", "values", "at", "inner"}


def mlp_array() -> NDArray[Any]:
    return numpy_helper.to_array(mlp().graph.initializer[0]).reshape(-1)[:2]


def test_every_tensor_kept_outside_counts(tmp_path: Path) -> None:
    path = save_external(branching(), tmp_path / "net.onnx")
    proto = onnx.load(str(path), load_external_data=False)
    assert external_extents(proto) == {"weights.data": (tmp_path / "weights.data").stat().st_size}


def with_entry(path: Path, **changes: str) -> Path:
    """Write a model whose first tensor has other external data entries."""
    proto = onnx.load(str(save_external(mlp(), path)), load_external_data=False)
    entries = proto.graph.initializer[0].external_data
    for key, value in changes.items():
        kept = [entry for entry in entries if entry.key == key]
        (kept[0] if kept else entries.add(key=key)).value = value
    path.write_bytes(proto.SerializeToString())
    return path


def test_external_data_that_is_missing(tmp_path: Path) -> None:
    path = save_external(mlp(), tmp_path / "net.onnx")
    (tmp_path / "weights.data").unlink()
    with pytest.raises(ModelError, match=r"'weights\.data' of net\.onnx is missing"):
        open_artifact(path)


def test_external_data_that_is_cut_off(tmp_path: Path) -> None:
    path = save_external(mlp(), tmp_path / "net.onnx")
    content = (tmp_path / "weights.data").read_bytes()
    (tmp_path / "weights.data").write_bytes(content[:-1])
    with pytest.raises(ModelError, match=f"too short: {len(content) - 1:,} bytes of {len(content):,}"):
        open_artifact(path)


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", "C:\\secret", "\\\\host\\share", ""]
)
def test_external_data_outside_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_text("x" * 10_000)
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(ModelError, match="outside its folder"):
        open_artifact(with_entry(folder / "net.onnx", location=location))


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x" * 10_000)
    folder = tmp_path / "model"
    folder.mkdir()
    path = save_external(mlp(), folder / "net.onnx")
    (folder / "weights.data").unlink()
    (folder / "weights.data").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match="outside its folder"):
        open_artifact(path)


@pytest.mark.parametrize("entry", [{"offset": "x"}, {"length": "-5"}, {"offset": "1.5"}, {"length": "²"}])
def test_external_data_at_no_place_in_a_file(tmp_path: Path, entry: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="which is no place in a file"):
        open_artifact(with_entry(tmp_path / "net.onnx", **entry))
