"""Large weights are mapped when read and streamed when written; the files are plain ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from studio.core.artifact import open_artifact
from studio.core.errors import Cancelled, ModelError, PassError
from studio.core.modelbytes import LARGE, _fields, light_proto, map_model, split
from studio.core.modelfile import read_light_proto, read_model, read_proto, read_skeleton, write_model
from studio.core.validity import check_artifact
from tests.models import mlp, save

SIZE = LARGE // 4


def model(*tensors: onnx.TensorProto, **more: Any) -> onnx.ModelProto:
    """A model that reads nothing of its weights but their shapes."""
    nodes = [helper.make_node("Shape", [tensor.name], [f"s{index}"]) for index, tensor in enumerate(tensors)]
    outputs = [helper.make_tensor_value_info(f"s{index}", 7, [None]) for index in range(len(tensors))]
    graph = helper.make_graph(nodes, "main", [], outputs, list(tensors), doc_string="a graph")
    opsets = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="me", **more)


def normal(name: str, size: int = SIZE, dtype: Any = np.float32) -> onnx.TensorProto:
    """A weight of this many numbers."""
    return numpy_helper.from_array(np.random.default_rng(size).normal(size=(size,)).astype(dtype), name)


def written(path: Path, proto: onnx.ModelProto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def as_dict(proto: onnx.ModelProto) -> tuple[bytes, dict[str, bytes]]:
    """The model without its weights, and its weights by name: their order may change, and shapes be written down."""
    weights = {tensor.name: tensor.SerializeToString(deterministic=True) for tensor in proto.graph.initializer}
    rest = onnx.ModelProto()
    rest.CopyFrom(proto)
    del rest.graph.initializer[:]
    del rest.graph.value_info[:]
    return rest.SerializeToString(deterministic=True), weights


def test_a_model_that_was_mapped_and_streamed_is_the_same(tmp_path: Path) -> None:
    proto = model(normal("small", 5), normal("large"), normal("medium", SIZE - 1), normal("larger", 3 * SIZE))
    proto.graph.initializer[1].doc_string = "kept"
    path = written(tmp_path / "m.onnx", proto)
    artifact = write_model(read_model(open_artifact(path)), tmp_path / "out.onnx")
    assert artifact.external == ()
    assert as_dict(onnx.load(str(artifact.path))) == as_dict(proto)
    again = write_model(read_model(artifact), tmp_path / "again.onnx")
    assert again.sha256 == artifact.sha256


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float64, np.int8, np.bool_, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]
)
def test_every_plain_type(tmp_path: Path, dtype: Any) -> None:
    path = written(tmp_path / "m.onnx", model(normal("w", 4 * SIZE, dtype)))
    found = read_model(open_artifact(path)).graph.initializers["w"].const_value
    assert found is not None
    expected = numpy_helper.to_array(onnx.load(str(path)).graph.initializer[0])
    assert found.numpy().dtype == dtype
    np.testing.assert_array_equal(found.numpy().view(np.uint8), expected.view(np.uint8))


def test_packed_types_are_parsed_whole(tmp_path: Path) -> None:
    numbers = (np.arange(16 * SIZE) % 16 - 8).astype(ml_dtypes.int4)
    path = written(tmp_path / "m.onnx", model(numpy_helper.from_array(numbers, "w")))
    assert map_model(path) is None
    artifact = write_model(read_model(open_artifact(path)), tmp_path / "out.onnx")
    np.testing.assert_array_equal(numpy_helper.to_array(onnx.load(str(artifact.path)).graph.initializer[0]), numbers)


def test_the_weights_are_mapped_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", model(normal("w")))
    tensor = read_model(open_artifact(path)).graph.initializers["w"].const_value
    assert isinstance(tensor, ir.Tensor)
    assert not tensor.numpy().flags.owndata
    assert not tensor.numpy().flags.writeable


def test_the_light_model_lacks_only_large_content(tmp_path: Path) -> None:
    proto = model(normal("small", 5), normal("large"))
    path = written(tmp_path / "m.onnx", proto)
    light = read_light_proto(path)
    assert [len(tensor.raw_data) for tensor in light.graph.initializer] == [20, 0]
    light.graph.initializer[1].raw_data = proto.graph.initializer[1].raw_data
    assert light == proto


def test_weights_outside_raw_data_and_the_main_graph_stay_in_the_light_model(tmp_path: Path) -> None:
    listed = helper.make_tensor("listed", 1, [SIZE], np.arange(SIZE, dtype=np.float32).tolist())
    body = helper.make_graph(
        [helper.make_node("Identity", ["inner"], ["out"])],
        "body",
        [],
        [helper.make_tensor_value_info("out", 1, [SIZE])],
        [normal("inner")],
    )
    proto = model(listed)
    proto.graph.node.append(helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body))
    path = written(tmp_path / "m.onnx", proto)
    assert light_proto(path) == proto
    again = write_model(read_model(open_artifact(path)), tmp_path / "out.onnx")
    inner = onnx.load(str(again.path)).graph.node[-1].attribute[0].g.initializer[0]
    assert inner.raw_data == normal("inner").raw_data


def two_graphs(whole: bytes) -> bytes:
    """The same model with its graph in two parts, which protobuf merges."""
    proto = onnx.ModelProto.FromString(whole)
    rest = onnx.ModelProto()
    rest.graph.initializer.extend(proto.graph.initializer)
    del proto.graph.initializer[:]
    return proto.SerializeToString() + rest.SerializeToString()


@pytest.mark.parametrize("odd", [two_graphs, lambda whole: whole + b"\x9b\x06\x9c\x06"])
def test_an_unusual_layout_is_parsed_whole(tmp_path: Path, odd: Callable[[bytes], bytes]) -> None:
    whole = model(normal("w")).SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(odd(whole))
    assert split(path.read_bytes()) is None
    tensor = read_model(open_artifact(path)).graph.initializers["w"].const_value
    assert tensor is not None
    assert tensor.tobytes() == normal("w").raw_data


def test_fields_are_written_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """OpenVINO does not recognize a model that begins with two operator sets."""
    proto = model(normal("w"), doc_string="a model")
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    proto.metadata_props.add(key="k", value="v")
    path = written(tmp_path / "m.onnx", proto)
    content = write_model(read_model(open_artifact(path)), tmp_path / "out.onnx").path.read_bytes()
    numbers = [field.number for field in _fields(content, 0, len(content))]
    assert numbers == sorted(numbers)
    assert set(numbers) >= {1, 6, 7, 8, 14}


def test_every_cut_of_a_large_model_is_refused_or_parsed_whole(tmp_path: Path) -> None:
    whole = model(normal("w"), normal("v", 7)).SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in [*range(1, 200), *range(len(whole) - 200, len(whole))]:
        path.write_bytes(whole[:length])
        for read in (read_proto, read_light_proto):
            try:
                read(path)
            except ModelError:
                continue
            assert read_light_proto(path).ir_version


def test_two_weights_of_one_name_are_parsed_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", model(normal("w"), normal("w", SIZE + 1)))
    assert map_model(path) is None


def test_sparse_weights_are_refused_not_lost(tmp_path: Path) -> None:
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("v", 1, [2], [1.0, 2.0]), helper.make_tensor("i", 7, [2], [0, 4]), [8]
    )
    proto = model(normal("w"))
    proto.graph.sparse_initializer.append(sparse)
    with pytest.raises(ModelError, match="sparse"):
        read_model(open_artifact(written(tmp_path / "m.onnx", proto)))


def test_a_weight_that_is_listed_as_an_input_stays_listed(tmp_path: Path) -> None:
    proto = model(normal("w"))
    proto.graph.input.append(helper.make_tensor_value_info("w", 1, [SIZE]))
    path = written(tmp_path / "m.onnx", proto)
    artifact = write_model(read_model(open_artifact(path)), tmp_path / "out.onnx")
    assert as_dict(onnx.load(str(artifact.path))) == as_dict(proto)


def test_the_model_in_memory_is_unchanged_by_writing(tmp_path: Path) -> None:
    opened = read_model(open_artifact(written(tmp_path / "m.onnx", model(normal("b"), normal("a", 5), normal("c")))))
    write_model(opened, tmp_path / "out.onnx")
    assert list(opened.graph.initializers) == ["b", "a", "c"]
    assert all(value.const_value is not None for value in opened.graph.initializers.values())


@pytest.mark.parametrize("size", [5, SIZE])
@pytest.mark.parametrize("raised", [Cancelled(), PassError("no", "never"), MemoryError()])
def test_what_a_weight_raises_while_it_is_written_is_raised_itself(
    tmp_path: Path, size: int, raised: BaseException
) -> None:
    opened = read_model(open_artifact(written(tmp_path / "m.onnx", model(normal("w", size)))))

    def fail() -> ir.TensorProtocol:
        raise raised

    opened.graph.initializers["w"].const_value = ir.LazyTensor(fail, ir.DataType.FLOAT, ir.Shape([size]))
    with pytest.raises(type(raised)):
        write_model(opened, tmp_path / "out.onnx")


def test_a_weight_of_another_size_than_it_says_is_refused(tmp_path: Path) -> None:
    opened = read_model(open_artifact(written(tmp_path / "m.onnx", model(normal("w")))))
    wrong = ir.LazyTensor(lambda: ir.tensor(np.zeros(3, np.float32)), ir.DataType.FLOAT, ir.Shape([SIZE]))
    opened.graph.initializers["w"].const_value = wrong
    with pytest.raises(ValueError, match="12 bytes"):
        write_model(opened, tmp_path / "out.onnx")


def test_the_skeleton_is_a_valid_model_without_large_weights(tmp_path: Path) -> None:
    path = save(mlp(256, 256), tmp_path / "m.onnx")
    whole, skeleton = read_proto(path), read_skeleton(path)
    assert skeleton.ByteSize() < 0.1 * whole.ByteSize()
    onnx.checker.check_model(skeleton, full_check=True)
    assert [node.name for node in skeleton.graph.node] == [node.name for node in whole.graph.node]
    assert {value.name for value in skeleton.graph.input} == {"image", "w1"}
    assert {tensor.name for tensor in skeleton.graph.initializer} == {"b1", "w2", "b2"}


@pytest.mark.parametrize("fault", ["short", "twice"])
def test_what_is_wrong_with_a_large_weight_is_still_found(tmp_path: Path, fault: str) -> None:
    proto = mlp(256, 256)
    weight = proto.graph.initializer[0]
    if fault == "short":
        weight.raw_data = weight.raw_data[:-4]
    else:
        proto.graph.initializer.append(weight)
    artifact = open_artifact(save(proto, tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match="'w1' has 262140 bytes" if fault == "short" else "two weights named 'w1'"):
        check_artifact(artifact)
