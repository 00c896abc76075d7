"""What is read from a model's file, and what may be fed to it."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto

from studio.api import RuntimeLoadError, TensorInfo, check_feeds, read_signature
from tests.runtimes.models import FLOAT, conv, model, node, save, value


def test_a_signature_keeps_dimension_names_and_the_order(tmp_path: Path) -> None:
    signature = read_signature(save(conv(), tmp_path).path)
    assert signature.inputs == (("image", ("batch", 3, 8, 8)),)
    assert signature.outputs == (("logits", ("batch", 5)),)
    assert signature.nodes == 4


def test_a_signature_tells_a_scalar_from_an_unknown_rank_and_an_unnamed_size(tmp_path: Path) -> None:
    inputs = [value("scalar", []), value("unknown", None), value("unnamed", [None, 0])]
    proto = model([node("Sum", [item.name for item in inputs], ["y"])], inputs, [value("y", None)])
    path = tmp_path / "m.onnx"
    onnx.save(proto, str(path))
    assert read_signature(path).inputs == (("scalar", ()), ("unknown", None), ("unnamed", (None, 0)))


@pytest.mark.parametrize("shape", [(1, 4), (0, 4), (9, 4)])
def test_a_dynamic_dimension_takes_any_size(shape: tuple[int, ...]) -> None:
    check_feeds([TensorInfo(name="x", dtype="float32", shape=("n", 4))], {"x": np.zeros(shape, np.float32)})


def test_an_unknown_rank_takes_any_shape() -> None:
    check_feeds([TensorInfo(name="x", dtype="float32", shape=None)], {"x": np.zeros((1, 2, 3), np.float32)})


def test_small_types_are_told_apart() -> None:
    info = TensorInfo(name="x", dtype="bfloat16", shape=(2,))
    check_feeds([info], {"x": np.zeros(2, ml_dtypes.bfloat16)})
    with pytest.raises(RuntimeLoadError, match="uint16"):
        check_feeds([info], {"x": np.zeros(2, np.uint16)})


def test_strings_come_as_objects_or_text() -> None:
    info = TensorInfo(name="x", dtype="object", shape=("n",))
    check_feeds([info], {"x": np.array(["a"])})
    check_feeds([info], {"x": np.array(["a"], object)})
    with pytest.raises(RuntimeLoadError, match="int64"):
        check_feeds([info], {"x": np.array([1], np.int64)})


def test_a_wrong_name_suggests_the_nearest() -> None:
    infos = [TensorInfo(name="pixel_values", dtype="float32", shape=(1,))]
    with pytest.raises(RuntimeLoadError, match="Did you mean 'pixel_values'"):
        check_feeds(infos, {"pixel_value": np.zeros(1, np.float32)})


def test_initializers_in_the_inputs_are_no_inputs_of_a_runtime(tmp_path: Path) -> None:
    proto = model(
        [node("Add", ["x", "w"], ["y"])],
        [value("x", [1]), value("w", [1])],
        [value("y", [1])],
        [onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")],
    )
    assert TensorProto.FLOAT == FLOAT
    assert [name for name, _ in read_signature(save(proto, tmp_path).path).inputs] == ["x", "w"]
