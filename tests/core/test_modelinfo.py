from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from studio.core.artifact import open_artifact
from studio.core.modelinfo import ModelInfo, inspect_model, macs_by_node
from studio.core.runtime import TensorInfo
from studio.core.signature import read_signature
from tests import models


def _inspect(proto: onnx.ModelProto, folder: Path, **dims: int) -> ModelInfo:
    return inspect_model(open_artifact(models.save(proto, folder / "model.onnx")), dims=dims)


def test_cnn_by_hand(tmp_path: Path) -> None:
    info = _inspect(models.cnn(channels=4, classes=3), tmp_path)
    assert info.inputs == (TensorInfo(name="image", dtype="float32", shape=("batch", 1, 8, 8)),)
    assert info.parameters == 4 * 9 + 4 + 4 * 3 + 3
    assert info.macs == 8 * 8 * 4 * 9 + 4 * 3
    assert info.assumed == {"batch": 1}
    assert info.operators == {"Conv": 1, "Relu": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1}
    assert info.precision_bytes["float"] == 4 * info.parameters


def test_macs_grow_with_a_named_dimension(tmp_path: Path) -> None:
    one, five = _inspect(models.mlp(), tmp_path), _inspect(models.mlp(), tmp_path, batch=5)
    assert one.macs is not None
    assert five.macs == 5 * one.macs


def test_each_node_has_its_own_count() -> None:
    counts, unknown, _ = macs_by_node(models.mlp(inputs=8, hidden=16, outputs=4), {})
    assert counts == {"fc1": 8 * 16, "fc2": 16 * 4}
    assert not unknown


def test_depthwise_and_transposed_convolution() -> None:
    depthwise = helper.make_node("Conv", ["x", "w"], ["y"], "dw", group=4, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    proto = helper.make_model(
        helper.make_graph(
            [depthwise, helper.make_node("ConvTranspose", ["y", "v"], ["z"], "up", strides=[2, 2])],
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 5])],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
            [
                helper.make_tensor("w", TensorProto.FLOAT, [4, 1, 3, 3], [0.0] * 36),
                helper.make_tensor("v", TensorProto.FLOAT, [4, 2, 2, 2], [0.0] * 32),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    counts, _, _ = macs_by_node(proto, {})
    assert counts == {"dw": 4 * 25 * 9, "up": 4 * 25 * 2 * 4}


def test_subgraphs_and_their_weights_are_counted(tmp_path: Path) -> None:
    info = _inspect(models.branching(), tmp_path)
    assert info.subgraphs == 2
    assert info.operators["Add"] == 1
    assert info.parameters == 64 + 8


def test_external_weights_are_counted_without_reading(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(), tmp_path / "model.onnx")
    info = inspect_model(open_artifact(path))
    assert info.external_bytes > 0
    assert info.parameters == 8 * 16 + 16 + 16 * 4 + 4


def test_an_initializer_that_is_also_an_input_need_not_be_fed(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.input.append(helper.make_tensor_value_info("w1", TensorProto.FLOAT, [8, 16]))
    assert [item.name for item in _inspect(proto, tmp_path).inputs] == ["image"]


def test_odd_inputs_have_a_kind(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.input.append(helper.make_tensor_value_info("text", TensorProto.STRING, None))
    proto.graph.input.append(helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, None))
    kinds = {item.name: item.dtype for item in _inspect(proto, tmp_path).inputs}
    assert kinds["text"] == "object"
    assert kinds["list"] == "sequence"


def test_a_negative_size_is_a_dynamic_dimension(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    info = _inspect(proto, tmp_path)
    assert info.inputs[0].shape == (None, 8)
    assert read_signature(tmp_path / "model.onnx").inputs[0] == ("image", (None, 8))
